# Completion of weir for bash: options, files, and every key of the configuration.

_weir_keys() {
  weir --help=all 2>/dev/null | sed -n 's/^  \([a-z0-9_.*]*\) = .*/\1=/p'
}

_weir() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  # bash makes words of their own of --option, = and value.
  if [[ $current == = ]]; then
    current=
  elif [[ $previous == = ]]; then
    previous=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  COMPREPLY=()
  case $previous in
    -c | --config)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      ;;
    -s | --set)
      compopt -o nospace 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -W "$(_weir_keys)" -- "$current")
      ;;
    -r | --role)
      mapfile -t COMPREPLY < <(compgen -W 'edge proxy' -- "$current")
      ;;
    --sort)
      mapfile -t COMPREPLY < <(compgen -W 'viewers rate name age' -- "$current")
      ;;
    -h | --help)
      mapfile -t COMPREPLY < <(compgen -W "all $(weir --help 2>/dev/null | sed -n 's/^Topics: //p')" -- "$current")
      ;;
    *)
      mapfile -t COMPREPLY < <(compgen -W '--role= --config= --set --check-config --print-config
        --print-default-config --version --help demo --seconds= --no-source
        top --once --sort= --token= check' -- "$current")
      [[ ${COMPREPLY[0]:-} != *= ]] || compopt -o nospace 2>/dev/null
      ;;
  esac
} && complete -F _weir weir
