# Completion of the command `quarry` for bash: commands, options, values of
# options, and the collections of the store that is given.

_quarry_commands='help create import search get delete apply count list info export sketch compact verify repair checkpoint restore drop bench'
_quarry_global_options='--json --quiet --no-color --yes --threads --version --help'

# The options of a command, beside the global ones.
_quarry_options() {
  local schema='--dim --level --metric --id-type --field --zero-vectors --sketch'
  case $1 in
    create) echo "$schema" ;;
    import) echo "--metadata --ids --id-field --vector-field --expires-field --format --batch --on-bad --create $schema" ;;
    search) echo '--queries --vector --like -k --metric --ids --min-score --max-distance --with --explain --max-resident' ;;
    get) echo '--ids --with' ;;
    delete) echo '--ids' ;;
    apply) echo '--vectors --batch' ;;
    export) echo '--with' ;;
    sketch) echo '--add --drop' ;;
    compact) echo '--min-dead --erase --bytes-per-second' ;;
    verify) echo '--quick --bytes-per-second' ;;
    bench) echo '--queries -k --batch --threads --max-resident' ;;
  esac
}

# Whether an option is followed by a value.
_quarry_takes_value() {
  case $1 in
    --json | --quiet | --no-color | --yes | --version | --help | -h | --create | --explain | --quick | --erase) return 1 ;;
    -?*) return 0 ;;
  esac
  return 1
}

# The values an option takes, where there is a list of them.
_quarry_values() {
  case $1 in
    --level) echo 'f32 f16 f8 i8' ;;
    --metric) echo 'cosine dot l2' ;;
    --id-type) echo 'u64 string' ;;
    --zero-vectors) echo 'refuse allow' ;;
    --sketch) echo 'auto none i8 pca' ;;
    --on-bad) echo 'refuse skip' ;;
    --format) echo 'auto npy npz fvecs bvecs ivecs fbin u8bin jsonl csv' ;;
    --with) echo 'metadata vector metadata,vector' ;;
  esac
}

# The names of a store's collections, one for each line; those that JSON has to
# escape are left out.
_quarry_collections() {
  [[ -d $1 ]] || return 0
  QUARRY_STORE=$1 command quarry list --json --quiet 2>/dev/null |
    sed -n 's/^{"collection":"\([^"\\]*\)".*/\1/p'
}

# Completes with lines of stdin that begin with the current word.
_quarry_reply_lines() {
  local line
  while IFS= read -r line; do
    if [[ $line == "$1"* ]]; then COMPREPLY+=("$(printf '%q' "$line")"); fi
  done
}

_quarry_reply_files() {
  compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(compgen "$1" -- "$2")
}

_quarry() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local name='' arguments=() i
  COMPREPLY=()

  # The command's name and its arguments before the cursor.
  for ((i = 1; i < COMP_CWORD; ++i)); do
    if [[ ${COMP_WORDS[i]} == -?* ]]; then
      if _quarry_takes_value "${COMP_WORDS[i]}"; then ((++i)); fi
    elif [[ -z $name ]]; then
      name=${COMP_WORDS[i]}
    else
      arguments+=("${COMP_WORDS[i]}")
    fi
  done

  if ((COMP_CWORD > 1)) && _quarry_takes_value "$previous"; then
    case $previous in
      --metadata | --ids | --queries | --vectors) _quarry_reply_files -f "$current" ;;
      *) mapfile -t COMPREPLY < <(compgen -W "$(_quarry_values "$previous")" -- "$current") ;;
    esac
    return
  fi
  if [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(
      compgen -W "$(_quarry_options "$name") $_quarry_global_options" -- "$current")
    return
  fi
  if [[ -z $name ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$_quarry_commands" -- "$current")
    return
  fi

  if [[ $name == help ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$_quarry_commands" -- "$current")
    return
  fi

  # STORE, unless it comes from the environment, then COLL, then a file.
  local store=${QUARRY_STORE:-}
  if [[ -z $store ]]; then
    if ((${#arguments[@]} == 0)); then
      _quarry_reply_files -d "$current"
      return
    fi
    store=${arguments[0]/#\~/$HOME}
    arguments=("${arguments[@]:1}")
  fi
  case $name:${#arguments[@]} in
    list:*) ;;
    checkpoint:* | restore:*) _quarry_reply_files -d "$current" ;;
    *:0) _quarry_reply_lines "$current" < <(_quarry_collections "$store") ;;
    import:1 | export:1 | apply:1) _quarry_reply_files -f "$current" ;;
  esac
}

complete -F _quarry quarry
