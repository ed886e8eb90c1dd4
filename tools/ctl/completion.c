/* SPDX-License-Identifier: Apache-2.0 */
/* fairctl completion: what a shell needs so that the Tab key asks fairctl. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "ctl/commands.h"
#include "ctl/complete.h"
#include "ctl/view.h"

static const char bash[] = "# bash completion of fairctl. Load it: source <(fairctl completion bash)\n"
                           "# or for good: fairctl completion bash > /etc/bash_completion.d/fairctl\n"
                           "_fairctl() {\n"
                           "        local IFS=$'\\n'\n"
                           "        COMPREPLY=($(\"${COMP_WORDS[0]}\" __complete -- \"${COMP_WORDS[@]:1:COMP_CWORD}\" "
                           "2>/dev/null))\n"
                           "}\n"
                           "complete -o default -F _fairctl fairctl\n";

static const char zsh[] = "#compdef fairctl\n"
                          "# zsh completion of fairctl. Load it: source <(fairctl completion zsh)\n"
                          "# or for good: fairctl completion zsh > /usr/local/share/zsh/site-functions/_fairctl\n"
                          "_fairctl() {\n"
                          "        local -a found\n"
                          "        found=(${(f)\"$(\"${words[1]}\" __complete -- \"${(@)words[2,CURRENT]}\" "
                          "2>/dev/null)\"})\n"
                          "        if (( ${#found} )); then\n"
                          "                compadd -- \"${found[@]}\"\n"
                          "        else\n"
                          "                _files\n"
                          "        fi\n"
                          "}\n"
                          "if [ \"${funcstack[1]}\" = _fairctl ]; then\n"
                          "        _fairctl \"$@\"\n"
                          "else\n"
                          "        compdef _fairctl fairctl\n"
                          "fi\n";

static int run_completion(struct view *v)
{
        const char *shell = view_argument(v, 0);

        if (!cli_is_choice(v->cli.command->choices, shell))
                return view_wrong(v, "%s: give bash or zsh", shell);
        fputs(str_eq(shell, "bash") ? bash : zsh, stdout);
        return fflush(stdout) ? 1 : 0;
}

const struct cli_command ctl_completion = {
        .name = "completion",
        .summary = "what a shell needs to complete commands, flags and names",
        .arguments = "SHELL",
        .choices = "bash zsh",
        .about = "SHELL is bash or zsh. Names of Services and pods are completed from the pinned maps and the records "
                 "of\n"
                 "this node.\n",
        .examples = "source <(fairctl completion bash)\n"
                    "fairctl completion bash > /etc/bash_completion.d/fairctl\n"
                    "fairctl completion zsh > /usr/local/share/zsh/site-functions/_fairctl\n",
        .run = run_completion,
};

static void print_word(void *userdata, const char *word)
{
        puts(word);
}

static int run_complete(struct view *v)
{
        complete_words((int)v->cli.argument_count, (char *const *)v->cli.arguments, print_word, NULL);
        return fflush(stdout) ? 1 : 0;
}

/* Asked by the scripts above. */
const struct cli_command ctl_complete = {
        .name = "__complete",
        .summary = "words that may follow those given",
        .arguments = "[WORD...]",
        .examples = "fairctl __complete -- flow list --pro\n",
        .hidden = true,
        .run = run_complete,
};
