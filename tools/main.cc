// The `quarry` command.

#include "tools/command.h"

int main(int argc, char** argv) { return quarry::tools::Main(argc, argv); }
