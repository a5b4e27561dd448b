/** `bosmount completion`: scripts that let a shell complete commands, flags and their values. */
import { command } from '../command.js'
import { COMPLETE } from '../completion.js'
import { write } from '../output.js'

interface CompletionArguments {
  readonly shell: 'bash' | 'zsh' | 'fish'
}

const SCRIPTS = {
  bash: `# bosmount completion for bash. For this shell:  source <(bosmount completion bash)
# For all:  bosmount completion bash > /etc/bash_completion.d/bosmount
_bosmount_complete() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    COMPREPLY+=("\${line%%$'\\t'*}")
  done < <(bosmount ${COMPLETE} "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  if [[ \${#COMPREPLY[@]} -eq 0 ]]; then
    compopt -o default 2>/dev/null
  elif [[ \${#COMPREPLY[@]} -eq 1 && \${COMPREPLY[0]} == *= ]]; then
    compopt -o nospace 2>/dev/null
  fi
}
complete -F _bosmount_complete bosmount
`,
  zsh: `#compdef bosmount
# bosmount completion for zsh. For this shell, after compinit:  source <(bosmount completion zsh)
# For all:  bosmount completion zsh > "\${fpath[1]}/_bosmount"
_bosmount() {
  local -a answers
  local line word text
  while IFS= read -r line; do
    word=\${line%%$'\\t'*} text=
    [[ $line == *$'\\t'* ]] && text=:\${line#*$'\\t'}
    # A colon is between a word and its description.
    answers+=("\${word//:/\\\\:}$text")
  done < <(bosmount ${COMPLETE} "\${(@)words[2,CURRENT]}" 2>/dev/null)
  if (( \${#answers} )); then
    _describe 'bosmount' answers
  else
    _files
  fi
}
if [[ \${funcstack[1]} == _bosmount ]]; then
  _bosmount "$@"
else
  compdef _bosmount bosmount
fi
`,
  fish: `# bosmount completion for fish. For this shell:  bosmount completion fish | source
# For all:  bosmount completion fish > ~/.config/fish/completions/bosmount.fish
function __bosmount_complete
    set -l words (commandline -opc)[2..-1] (commandline -ct)
    set -l answers (bosmount ${COMPLETE} $words 2>/dev/null)
    if test (count $answers) -gt 0
        printf '%s\\n' $answers
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c bosmount -f -a '(__bosmount_complete)'
`,
} as const

export const completionCommand = command<CompletionArguments>({
  command: 'completion <shell>',
  describe: 'Print a script that lets a shell complete the command line',
  builder: yargs =>
    yargs
      .positional('shell', { choices: ['bash', 'zsh', 'fish'] as const, demandOption: true })
      .epilogue('bash:  source <(bosmount completion bash)'),
  handler: ({ shell }) => write(SCRIPTS[shell]),
})
