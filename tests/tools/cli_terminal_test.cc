// What changes when the command runs on a terminal: tables, colours, questions.

#include <sys/ioctl.h>
#include <termios.h>

#include "tests/tools/cli_support.h"

namespace quarry::testing_support {
namespace {

class CliTerminalTest : public CliTest {
 protected:
  // Runs the command with stdin, stdout and stderr on a terminal where `typed` is
  // waiting. Returns its exit code and, as `out`, all that the terminal showed.
  Finished RunOnTerminal(const std::vector<std::string>& arguments, const std::string& typed = "",
                         const std::vector<std::pair<std::string, std::string>>& environment = {
                             {"TERM", "xterm"}}) {
    const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    EXPECT_EQ(::grantpt(terminal), 0);
    EXPECT_EQ(::unlockpt(terminal), 0);
    const int side = ::open(::ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);
    termios mode = {};
    ::tcgetattr(side, &mode);
    mode.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    mode.c_oflag &= ~static_cast<tcflag_t>(OPOST);  // '\n' stays as it is
    ::tcsetattr(side, TCSANOW, &mode);
    EXPECT_EQ(::write(terminal, typed.data(), typed.size()), static_cast<ssize_t>(typed.size()));

    const pid_t child = Start(arguments, side, side, side, environment);
    ::close(side);
    Finished finished;
    char buffer[4096];
    // Ends with EIO once the command is gone.
    for (ssize_t n = 0; (n = ::read(terminal, buffer, sizeof(buffer))) > 0;) {
      finished.out.append(buffer, static_cast<std::size_t>(n));
    }
    finished.exit = ExitOf(child);
    ::close(terminal);
    return finished;
  }
};

TEST_F(CliTerminalTest, ListIsATableWithAHeader) {
  MakeStore("a-long-name");
  EXPECT_EQ(RunOnTerminal({"list", store_, "--no-color"}).out,
            "collection   dim  level  metric  id_type  records\n"
            "a-long-name  2    f32    cosine  string   3\n");
}

TEST_F(CliTerminalTest, TheHeaderIsBoldUnlessColoursAreOff) {
  MakeStore();
  EXPECT_EQ(RunOnTerminal({"count", store_, "c"}).out, "\x1b[1mcount\x1b[0m\n3\n");
  EXPECT_EQ(RunOnTerminal({"count", store_, "c", "--no-color"}).out, "count\n3\n");
}

TEST_F(CliTerminalTest, ADumbTerminalGetsNoEscapeCodes) {
  MakeStore();
  EXPECT_EQ(RunOnTerminal({"count", store_, "c"}, "", {{"TERM", "dumb"}}).out, "count\n3\n");
}

TEST_F(CliTerminalTest, JsonIsTheSameOnATerminal) {
  MakeStore();
  EXPECT_EQ(RunOnTerminal({"count", store_, "c", "--json"}).out, "{\"count\":3}\n");
}

TEST_F(CliTerminalTest, DropAsksAndTakesYes) {
  MakeStore();
  const Finished finished = RunOnTerminal({"drop", store_, "c", "--no-color"}, "y\n");
  EXPECT_EQ(finished.exit, 0);
  EXPECT_EQ(finished.out, "Drop collection 'c' with 3 records? [y/N] dropped\nc\n");
  EXPECT_EQ(Do({"list", store_}), "");
}

TEST_F(CliTerminalTest, DropTakesAnythingElseForNo) {
  MakeStore();
  for (const char* answer : {"n\n", "\n", "yesterday\n"}) {
    const Finished finished = RunOnTerminal({"drop", store_, "c"}, answer);
    EXPECT_EQ(finished.exit, 1);
    EXPECT_THAT(finished.out, testing::HasSubstr("nothing dropped"));
    EXPECT_EQ(Do({"count", store_, "c"}), "3\n");
  }
}

TEST_F(CliTerminalTest, DropWithYesDoesNotAsk) {
  MakeStore();
  EXPECT_EQ(RunOnTerminal({"drop", store_, "c", "--yes", "--no-color"}).out, "dropped\nc\n");
}

}  // namespace
}  // namespace quarry::testing_support
