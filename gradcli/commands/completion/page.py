"""The completion scripts. Each calls the program for the words at the cursor, and so is current."""

from collections.abc import Callable

from gradcli.commands.completion.request import Completion
from gradcli.options.shared import OutputOptions
from gradcli.world import World


def page(
    request: Completion, shown: OutputOptions, world: World, read_stdin: Callable[[], str]
) -> str:
    """The script of a shell."""
    return SCRIPTS[request.shell]


_BASH = r"""# gradcli's completion for bash: put this line into ~/.bashrc
#     eval "$(gradcli completion bash)"

_gradcli() {
    local line="" word before="" program=${1:-gradcli}
    program=${program/#\~/$HOME}
    [[ -x $program ]] || type -P "$program" >/dev/null || program=gradcli  # an alias
    if [[ -n ${COMP_LINE-} ]]; then
        line=${COMP_LINE:0:COMP_POINT}
    else
        for word in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
            [[ -z $line || $word == = || $before == = ]] || line+=" "
            line+=$word before=$word
        done
    fi
    COMPREPLY=()
    while IFS= read -r word; do
        COMPREPLY+=("$word")
    done < <(_GRADCLI_COMPLETE=bash "$program" "$line" "${COMP_WORDBREAKS-}" 2>/dev/null)
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[/=@] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}

complete -o nosort -F _gradcli gradcli 2>/dev/null || complete -F _gradcli gradcli
"""

_ZSH = r"""#compdef gradcli
# gradcli's completion for zsh: put this line into ~/.zshrc, after compinit
#     eval "$(gradcli completion zsh)"
# or write it to a file _gradcli in a folder of $fpath.

_gradcli() {
    local line
    local -a whole whole_said begun begun_said
    local program=${(Q)words[1]/#\~/$HOME}
    for line in "${(@f)$(_GRADCLI_COMPLETE=zsh $program "${(@)words[2,CURRENT-1]}" "$PREFIX" 2>/dev/null)}"; do
        [[ -n $line ]] || continue
        local word=${line%%$'\t'*} said=""
        [[ $line == *$'\t'* ]] && said=${line#*$'\t'}
        if [[ $word == *[/=@] ]]; then
            begun+=("$word") begun_said+=("$word${said:+  -- $said}")
        else
            whole+=("$word") whole_said+=("$word${said:+  -- $said}")
        fi
    done
    (( $#whole )) && compadd -l -V gradcli -d whole_said -- "${(@)whole}"
    (( $#begun )) && compadd -V gradcli-paths -S '' -d begun_said -- "${(@)begun}"
}

if [[ $funcstack[1] == _gradcli ]]; then
    _gradcli "$@"
elif (( $+functions[compdef] )); then
    compdef _gradcli gradcli
fi
"""

_FISH = r"""# gradcli's completion for fish: put this line into ~/.config/fish/config.fish
#     gradcli completion fish | source

function __gradcli_complete
    set -l words (commandline -opc)
    set -l program (string replace -r '^~' $HOME -- $words[1])
    _GRADCLI_COMPLETE=fish $program $words[2..-1] (commandline -ct) 2>/dev/null
end

complete -c gradcli -f -k -a '(__gradcli_complete)'
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
