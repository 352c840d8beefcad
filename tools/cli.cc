#include "tools/cli.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>

#include "tools/cli_values.h"
#include "tools/output.h"

namespace quarry::tools {
namespace {

bool IsOption(const std::string& argument) { return argument.size() > 1 && argument[0] == '-'; }

// Help and version are results as any other: stdout may be full.
int PrintText(const GlobalOptions& global, const std::string& text) {
  GlobalOptions lines = global;
  lines.json = true;
  Output output(lines, {});
  Status status = output.AddLine(text);
  if (status.ok()) status = output.Close();
  if (status.ok()) return kExitOk;
  PrintError(status.message());
  return ExitCodeOf(status.code());
}

}  // namespace

CommandLine::CommandLine() : app_("Quarry, a persistent vector store: exact search, on disk.") {
  const char* store = std::getenv("QUARRY_STORE");
  if (store != nullptr && *store != '\0') {
    global_.store = store;
    store_from_environment_ = true;
  }
  const char* no_color = std::getenv("NO_COLOR");
  global_.no_color = no_color != nullptr && *no_color != '\0';

  app_.name("quarry");
  app_.require_subcommand(0, 1);
  app_.allow_extras();
  app_.set_help_flag("-h,--help", "Print this text; after a command, its options");
  app_.set_version_flag("--version", "quarry " + std::string(Version()), "Print the version");
  app_.get_formatter()->column_width(32);
  app_.get_formatter()->label("SUBCOMMAND", "COMMAND");
  app_.get_formatter()->label("Positionals", "Arguments");
  app_.footer(
      "Environment:\n"
      "  QUARRY_STORE  the store of every command; STORE is then left out\n"
      "  QUARRY_ISA    baseline, avx2 or avx512: the kernels to use\n"
      "  NO_COLOR      as --no-color\n\n"
      "While a process writes a store, commands that read show what that published last; the\n"
      "others, and all where nothing was published, end with exit code 4.\n\n"
      "Exit codes: 0 ok, 1 failed or not found, 2 wrong usage, 3 corruption, 4 the store is\n"
      "locked, 5 I/O error or no space, 130 interrupted.\n\n"
      "Examples:\n"
      "  quarry create photos.store photos --dim 768 --id-type string\n"
      "  quarry import photos.store photos vectors.npy --metadata records.jsonl\n"
      "  quarry search photos.store photos --like p-17 -k 5 --with metadata\n\n"
      "Options of a command: quarry help COMMAND, or quarry COMMAND --help");
  AddGlobalOptions();
  AddCommands();
}

void CommandLine::AddGlobalOptions() {
  app_.add_flag("--json", global_.json, "Print one JSON object for each line");
  app_.add_flag("--quiet", global_.quiet, "No progress and no warnings");
  app_.add_flag("--no-color", global_.no_color, "No colours in tables");
  app_.add_flag("--yes", global_.yes, "Do not ask");
  app_.add_option_function<std::string>(
          "--threads",
          [this](const std::string& text) {
            const Result<std::size_t> threads = ParseCount(text, 1, kMaxThreads);
            if (!threads.ok()) throw CLI::ValidationError("--threads", threads.status().message());
            global_.threads = *threads;
          },
          "Threads for searching; default: one for each core")
      ->type_name("N");
}

CliCommand& CommandLine::Add(const std::string& name, const std::string& description,
                             const std::string& examples) {
  commands_.push_back(std::make_unique<CliCommand>());
  CliCommand& command = *commands_.back();
  command.app = app_.add_subcommand(name, description);
  command.app->group("Commands");
  command.app->fallthrough();
  command.app->allow_extras();
  command.app->footer("Examples:\n" + examples +
                      "\nWith every command: --json --quiet --no-color --yes --threads N; see "
                      "quarry --help");
  if (!store_from_environment_) {
    command.required.push_back(
        command.app->add_option("STORE", global_.store, "The store's directory")->option_text(" "));
  }
  return command;
}

CliCommand* CommandLine::Find(const std::string& name) const {
  const auto found = std::find_if(commands_.begin(), commands_.end(), [&](const auto& command) {
    return command->app->get_name() == name;
  });
  return found == commands_.end() ? nullptr : found->get();
}

int CommandLine::Fail(const std::string& message) {
  const std::vector<CLI::App*> parsed = app_.get_subcommands();
  return WrongUsage(parsed.empty() ? "" : parsed[0]->get_name(), message);
}

// CLI11 words its messages "NAME: what is wrong".
int CommandLine::FailParse(const CLI::ParseError& error) {
  const std::string message = error.what();
  const std::string name = message.substr(0, message.find(':'));
  if (error.get_name() == "ArgumentMismatch") {
    return Fail(message.find("At Most") == std::string::npos
                    ? fmt::format("option {} needs a value", name)
                    : fmt::format("option {} is given more than once", name));
  }
  return Fail(message);
}

std::string CommandLine::Help() const {
  std::string help = app_.help();
  const std::vector<CLI::App*> parsed = app_.get_subcommands();
  // CLI11 shows every argument as optional, for it is told that they are.
  if (!parsed.empty()) {
    for (const CLI::Option* argument : Find(parsed[0]->get_name())->required) {
      const std::string shown = "[" + argument->get_name() + "]";
      const std::size_t position = help.find(shown);
      if (position != std::string::npos) help.replace(position, shown.size(), argument->get_name());
    }
  }
  while (help.ends_with('\n')) help.pop_back();
  return help;
}

std::string CommandLine::Misuse(const CliCommand& command) const {
  const std::string name = command.app->get_name();
  std::vector<std::string> extras = app_.remaining(/*recurse=*/true);
  std::erase(extras, "--");  // has had its effect: no options behind it
  const auto option = std::find_if(extras.begin(), extras.end(), IsOption);
  if (option != extras.end()) return fmt::format("unknown option {} for {}", *option, name);
  if (!extras.empty()) {
    return fmt::format("unexpected argument '{}' for {}{}", extras[0], name,
                       store_from_environment_ ? " (STORE comes from QUARRY_STORE)" : "");
  }
  for (const CLI::Option* argument : command.required) {
    if (argument->count() == 0) return fmt::format("{} needs {}", name, argument->get_name());
    if (argument->results()[0].empty()) return argument->get_name() + " is empty";
  }
  return command.check ? command.check() : "";
}

std::optional<int> CommandLine::Parse(int argc, char** argv) {
  // The first argument that is no option has to be a command; CLI11 would go on
  // looking for one behind it.
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--threads") == 0) {
      ++i;
    } else if (!IsOption(argv[i])) {
      if (std::strcmp(argv[i], "help") == 0) {
        // quarry help COMMAND: as quarry COMMAND --help.
        static char help_flag[] = "--help";
        std::vector<char*> arguments = {argv[0]};
        arguments.insert(arguments.end(), argv + i + 1, argv + argc);
        arguments.push_back(help_flag);
        return Parse(static_cast<int>(arguments.size()), arguments.data());
      }
      if (Find(argv[i]) == nullptr) return Fail(fmt::format("unknown command '{}'", argv[i]));
      break;
    }
  }
  try {
    app_.parse(argc, argv);
  } catch (const CLI::CallForVersion& version) {
    return PrintText(global_, version.what());
  } catch (const CLI::CallForHelp&) {
    return PrintText(global_, Help());
  } catch (const CLI::ParseError& error) {
    return FailParse(error);
  }
  const std::vector<CLI::App*> parsed = app_.get_subcommands();
  if (parsed.empty()) {
    const std::vector<std::string> extras = app_.remaining();
    return Fail(extras.empty() ? "no command is given" : "unknown option " + extras[0]);
  }
  const std::string misuse = Misuse(*Find(parsed[0]->get_name()));
  if (!misuse.empty()) return Fail(misuse);
  return std::nullopt;
}

int CommandLine::Run(int argc, char** argv) {
  const std::optional<int> code = Parse(argc, argv);
  if (code) return *code;
  const Result<int> result = Find(app_.get_subcommands()[0]->get_name())->run();
  if (result.ok()) {
    PrintCatalogErrors();
    return *result;
  }
  PrintError(result.status().message());
  return Interrupted() ? kExitInterrupted : ExitCodeOf(result.status().code());
}

int Main(int argc, char** argv) {
  InstallSignalHandlers();
  try {
    return CommandLine().Run(argc, argv);
  } catch (const std::bad_alloc&) {
    PrintError("out of memory");
  } catch (const std::exception& error) {
    PrintError(error.what());
  }
  return kExitFailed;
}

}  // namespace quarry::tools
