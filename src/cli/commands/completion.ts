/** `bosmount completion`: scripts that let a shell complete commands, flags and their values. */
import { command } from '../command.js'
import { write } from '../output.js'

interface CompletionArguments {
  readonly shell: 'bash' | 'zsh' | 'fish'
}

/** yargs' own flag: the words so far follow it, and it prints what may come next. */
const ASK = '--get-yargs-completions'

const SCRIPTS = {
  bash: `# bosmount completion for bash. For this shell:  source <(bosmount completion bash)
# For all:  bosmount completion bash > /etc/bash_completion.d/bosmount
_bosmount_complete() {
  local word="\${COMP_WORDS[COMP_CWORD]}" line
  COMPREPLY=()
  while IFS= read -r line; do
    [[ $line == "$word"* ]] && COMPREPLY+=("$line")
  done < <(bosmount ${ASK} "\${COMP_WORDS[@]:0:COMP_CWORD+1}" 2>/dev/null)
  if [[ \${#COMPREPLY[@]} -eq 0 ]]; then
    compopt -o default 2>/dev/null
  fi
}
complete -F _bosmount_complete bosmount
`,
  zsh: `#compdef bosmount
# bosmount completion for zsh. For this shell:  source <(bosmount completion zsh)
# For all:  bosmount completion zsh > "\${fpath[1]}/_bosmount"
_bosmount() {
  local -a answers
  answers=("\${(@f)$(bosmount ${ASK} "\${(@)words[1,CURRENT]}" 2>/dev/null)}")
  answers=("\${(@)answers:#}")
  if (( \${#answers} )); then
    _describe 'values' answers
  else
    _files
  fi
}
compdef _bosmount bosmount
`,
  fish: `# bosmount completion for fish. For this shell:  bosmount completion fish | source
# For all:  bosmount completion fish > ~/.config/fish/completions/bosmount.fish
function __bosmount_complete
    set -l words (commandline -opc) (commandline -ct)
    bosmount ${ASK} $words 2>/dev/null | string replace -r '^([^:]*):' '$1\\t'
end
complete -c bosmount -a '(__bosmount_complete)'
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
