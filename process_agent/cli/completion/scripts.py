"""What goes into the start-up file of a shell. The program is the `process` on PATH, not one in a folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

BASH: Final = """\
_process_complete() {
    local line kind=
    COMPREPLY=()
    while IFS= read -r line; do
        if [ -z "$kind" ]; then kind=$line; else COMPREPLY+=("$line"); fi
    done < <(command process __complete bash "$COMP_WORDBREAKS" "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
    type compopt >/dev/null 2>&1 || return 0
    case $kind in
        files) compopt -o default ;;
        dirs) compopt -o dirnames ;;
        open) compopt -o nospace ;;
    esac
}
complete -F _process_complete process
"""

ZSH: Final = """\
#compdef process
_process() {
    local -a found described
    local kind line
    found=("${(@f)$(command process __complete zsh "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    kind=$found[1]
    shift found
    [[ $words[CURRENT] == --*=* ]] && compset -P 1 '*='
    case $kind in
        files) _files; return ;;
        dirs) _files -/; return ;;
    esac
    for line in $found; do
        described+=("${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}")
    done
    if [[ $kind == open ]]; then
        _describe -V process described -S ''
    else
        _describe -V process described
    fi
}
if [[ $funcstack[1] == _process ]]; then
    _process "$@"
else
    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }
    compdef _process process
fi
"""

FISH: Final = """\
function __process_complete
    set -l before (commandline -opc)
    set -l token (commandline -ct)
    set -l found (command process __complete fish $before[2..-1] "$token" 2>/dev/null)
    set -l kind $found[1]
    set -e found[1]
    set -l lead (string match -r -- '^--[^=]*=' $token)
    set -q lead[1]; or set lead ''
    set -l rest (string replace -r -- '^--[^=]*=' '' $token)
    switch "$kind"
        case files
            set found $lead(__fish_complete_path "$rest")
        case dirs
            set found $lead(__fish_complete_directories "$rest" '')
    end
    string join -- \\n $found
end
complete -c process -f -a '(__process_complete)'
"""

SCRIPTS: Final[Mapping[str, str]] = {"bash": BASH, "zsh": ZSH, "fish": FISH}
