// The command line: its commands and their options, on top of CLI11.
//
// Included by cli*.cc only, so that nothing else is compiled with CLI11.

#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tools/command.h"

namespace quarry::tools {

// What --threads takes.
inline constexpr std::size_t kMaxThreads = 1024;

// One command with its options. CLI11 is left to split the arguments; what is
// missing or too much is found afterwards, for messages that name it.
struct CliCommand {
  CLI::App* app = nullptr;
  std::vector<CLI::Option*> required;  // arguments, STORE first
  std::function<std::string()> check;  // "", or what is wrong with the options together
  std::function<Result<int>()> run;
};

class CommandLine {
 public:
  // With QUARRY_STORE set no command takes the argument STORE.
  CommandLine();

  // Parses and runs. Returns the exit code; errors are printed.
  int Run(int argc, char** argv);

  // Parses only. Returns the exit code where no command is to be run: of help and
  // the version, which are printed, and of wrong usage.
  std::optional<int> Parse(int argc, char** argv);

 private:
  void AddGlobalOptions();

  // A command, with STORE where it is to be given.
  CliCommand& Add(const std::string& name, const std::string& description,
                  const std::string& examples);

  // cli_commands.cc
  void AddCommands();
  void AddCreate();
  void AddImport();
  void AddExport();
  void AddSearch();
  void AddGet();
  void AddDelete();
  void AddApply();
  void AddCount();
  void AddList();
  void AddInfo();
  void AddSketch();
  void AddCompact();
  void AddVerify();
  void AddRepair();
  void AddCheckpoint();
  void AddRestore();
  void AddDrop();
  void AddBench();

  CliCommand* Find(const std::string& name) const;
  std::string Help() const;  // of the command, if one was parsed
  int Fail(const std::string& message);
  int FailParse(const CLI::ParseError& error);
  // What CLI11 found no place for, or a required argument that is absent; "" for
  // none.
  std::string Misuse(const CliCommand& command) const;

  CLI::App app_;
  GlobalOptions global_;
  bool store_from_environment_ = false;
  std::vector<std::unique_ptr<CliCommand>> commands_;
};

}  // namespace quarry::tools
