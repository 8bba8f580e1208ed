# Completion of uvreap's command line for bash. Verbs, options and their words come from the program's own --help,
# so they are those of the version that is installed. Where it knows nothing better, bash completes files.

_uvreap() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} line names value='' options='' words='' i
  COMPREPLY=()
  for ((i = 2; i < COMP_CWORD; i++)); do  # behind "--" stands a command
    [ "${COMP_WORDS[i]}" = -- ] || continue
    if [ "$i" -eq $((COMP_CWORD - 1)) ]; then mapfile -t COMPREPLY < <(compgen -c -- "$word"); fi
    return
  done
  # --sort=wall comes as three words.
  if [ "$word" = = ]; then word=; elif [ "$before" = = ]; then before=${COMP_WORDS[COMP_CWORD - 2]}; fi
  # "  -j,--jobs N      how many run at once": names, and one blank behind them what the option takes, if anything
  while IFS= read -r line; do
    [[ $line =~ ^\ \ (-[^ ]+)(\ ([^ ]+))?(\ |$) ]] || continue
    names=${BASH_REMATCH[1]}
    options+=" ${names//,/ }"
    if [[ ,$names, == *,"$before",* ]]; then value=${BASH_REMATCH[3]}; fi
  done < <([ "$COMP_CWORD" -eq 1 ] || "$1" "${COMP_WORDS[1]}" --help 2>/dev/null)
  if [ "$COMP_CWORD" -eq 1 ]; then
    words="--help $("$1" --help | sed -n 's/.*uvreap \([a-z]*\) .*/\1/p')"
  elif [[ $value == *\|* ]]; then
    words=${value//|/ }
    words=${words//[[:upper:]]/}  # DIRECTORY is no word
  elif [[ -z $value && $word == -* ]]; then
    words="-- $options"
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -o bashdefault -o default -F _uvreap uvreap
