/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: parsing, complaints, help and completion, by the real table of commands. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "base/strbuf.h"
#include "ctl/cli.h"
#include "ctl/complete.h"
#include "ctl/service_names.h"

/* Cuts a line at its spaces; "''" is an empty word. */
struct line {
        char text[256];
        char *words[32];
        int count;
};

static void cut(struct line *l, const char *text)
{
        char *save = NULL;

        str_copy(l->text, sizeof(l->text), text);
        l->count = 0;
        for (char *w = strtok_r(l->text, " ", &save); w; w = strtok_r(NULL, " ", &save))
                l->words[l->count++] = strcmp(w, "''") == 0 ? (char *)"" : w;
}

/* stderr while `what` runs; owned by the caller. */
static int saved_stderr, captured;

static void capture(void)
{
        char path[] = "/tmp/cli_test.XXXXXX";

        fflush(stderr);
        captured = mkstemp(path);
        assert_true(captured >= 0);
        unlink(path);
        saved_stderr = dup(2);
        dup2(captured, 2);
}

static char *end_capture(void)
{
        static char text[8192];
        ssize_t n;

        fflush(stderr);
        dup2(saved_stderr, 2);
        close(saved_stderr);
        n = pread(captured, text, sizeof(text) - 1, 0);
        close(captured);
        text[n < 0 ? 0 : n] = '\0';
        return text;
}

static void commands_are_found_by_their_words(void **state)
{
        static const struct {
                const char *line, *name;
                int words;
        } rows[] = {
                {"status", "status", 1},
                {"status -o json", "status", 1},
                {"service list", "service list", 2},
                {"service show default/web", "service show", 2},
                {"service", NULL, 0},
                {"service lists", NULL, 0},
                {"list", NULL, 0},
                {"statu", NULL, 0},
                {"__complete -- x", "__complete", 1},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const struct cli_command *command;
                struct line l;
                int words = 0;

                cut(&l, rows[i].line);
                command = cli_find(l.count, l.words, &words);
                if (!rows[i].name) {
                        assert_null(command);
                        continue;
                }
                assert_non_null(command);
                assert_string_equal(command->name, rows[i].name);
                assert_int_equal(words, rows[i].words);
        }
}

static void flags_are_taken_in_all_spellings(void **state)
{
        static const char *const lines[] = {"flow list --proto tcp --all -o json",
                                            "flow list --all --output=json --proto=tcp",
                                            "flow list --proto udp --proto tcp -o json --all"};

        for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
                struct cli c;
                struct line l;
                int words = 0;
                const struct cli_command *command;

                cut(&l, lines[i]);
                command = cli_find(l.count, l.words, &words);
                assert_int_equal(cli_parse(&c, command, l.count - words, l.words + words), 0);
                assert_string_equal(cli_value(&c, "--proto"), "tcp");
                assert_string_equal(cli_value(&c, "-o"), "json");
                assert_true(cli_is_set(&c, "--all"));
                assert_null(cli_value(&c, "--src"));
                assert_null(cli_nth(&c, "--src", 0));
                cli_deinit(&c);
        }
}

static void a_flag_may_come_several_times(void **state)
{
        struct line l;
        struct cli c;
        int words;
        const struct cli_command *command;

        cut(&l, "pki init --node a DIR --node=b -- --odd");
        command = cli_find(l.count, l.words, &words);
        capture();
        assert_int_equal(cli_parse(&c, command, l.count - words, l.words + words), 2);
        assert_non_null(strstr(end_capture(), "`--odd` is too much"));
        cli_deinit(&c);
        assert_int_equal(cli_parse(&c, command, l.count - words - 2, l.words + words), 0);
        assert_string_equal(cli_nth(&c, "--node", 0), "a");
        assert_string_equal(cli_nth(&c, "--node", 1), "b");
        assert_null(cli_nth(&c, "--node", 2));
        assert_int_equal(c.argument_count, 1);
        assert_string_equal(c.arguments[0], "DIR");
        cli_deinit(&c);
}

static void what_is_wrong_is_named(void **state)
{
        static const struct {
                const char *line, *says;
        } rows[] = {
                {"flow list --sercive x", "there is no flag --sercive; did you mean --service?"},
                {"flow list --quatsch", "there is no flag --quatsch; `fairctl flow list --help` lists them"},
                {"flow list --proto tpc", "--proto tpc: give tcp, udp, sctp or icmp"},
                {"flow list --proto", "--proto needs a value"},
                {"flow list --all=yes", "--all takes no value"},
                {"flow list extra", "`extra` is too much"},
                {"status -o yaml", "-o yaml: give table, wide or json"},
                {"status --color maybe", "--color maybe: give auto, always or never"},
                {"service show", "NAMESPACE/NAME is missing; use `fairctl service show NAMESPACE/NAME [flags]`"},
                {"trace", "SRC is missing; use `fairctl trace SRC DST:PORT [flags]`"},
                {"trace a", "DST:PORT is missing; use `fairctl trace SRC DST:PORT [flags]`"},
                {"service show a b", "`b` is too much"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const struct cli_command *command;
                struct line l;
                struct cli c;
                const char *said;
                int words = 0, r;

                cut(&l, rows[i].line);
                command = cli_find(l.count, l.words, &words);
                capture();
                r = cli_parse(&c, command, l.count - words, l.words + words);
                said = end_capture();
                cli_deinit(&c);
                assert_int_equal(r, 2);
                if (!strstr(said, rows[i].says))
                        fail_msg("%s: says `%s`, not `%s`", rows[i].line, said, rows[i].says);
        }
}

static void a_group_without_a_verb_gets_one_heading(void **state)
{
        struct line l;
        const char *said;

        cut(&l, "service");
        capture();
        cli_complain_command(l.count, l.words);
        said = end_capture();
        assert_ptr_equal(strstr(said, "fairctl service: say which of these:\n\n  service list "), said);
        assert_null(strstr(said, "its commands"));
}

static void mistyped_commands_get_the_near_one(void **state)
{
        static const struct {
                const char *line, *says;
        } rows[] = {
                {"flwo", "there is no command `flwo`; did you mean `flow`?"},
                {"service lst", "there is no command `service lst`; did you mean `service list`?"},
                {"servise list", "did you mean `service`?"},
                {"banana", "`fairctl --help` lists what there is"},
                {"flow banana", "`fairctl flow --help` lists what there is"},
                {"flow", "say which of these"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct line l;
                const char *said;

                cut(&l, rows[i].line);
                capture();
                cli_complain_command(l.count, l.words);
                said = end_capture();
                if (!strstr(said, rows[i].says))
                        fail_msg("%s: says `%s`, not `%s`", rows[i].line, said, rows[i].says);
        }
}

/* ---- help */

static char *help_of(const struct cli_command *command)
{
        char *text = NULL;
        size_t n;
        FILE *f = open_memstream(&text, &n);

        cli_help(command, f);
        fclose(f);
        return text;
}

static void check_flag(void *userdata, const struct cli_flag *flag)
{
        const char *help = userdata;

        if (!strstr(help, flag->name) || !strstr(help, flag->text))
                fail_msg("%s is not in the help:\n%s", flag->name, help);
}

/* Each command has a summary, an example that begins with its name, and its flags and columns explained. */
static void every_command_explains_itself(void **state)
{
        for (size_t i = 0; cli_commands[i]; i++) {
                const struct cli_command *command = cli_commands[i];
                _cleanup_free_ char *help = help_of(command);
                char begin[96];

                snprintf(begin, sizeof(begin), "fairctl %s", command->name);
                assert_non_null(strstr(help, command->summary));
                assert_non_null(command->examples);
                assert_non_null(strstr(command->examples, begin));
                cli_each_flag(command, check_flag, help);
                for (size_t k = 0; k < command->width; k++)
                        if (!command->columns[k].text || !*command->columns[k].text)
                                fail_msg("%s: column %zu says nothing", command->name, k);
                for (const char *line = help; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
                        if (strcspn(line, "\n") > 140)
                                fail_msg("%s: a long line: %.*s", command->name, (int)strcspn(line, "\n"), line);
        }
}

/* ---- completion */

static void add_word(void *userdata, const char *word)
{
        struct strbuf *b = userdata;

        strbuf_printf(b, "%s%s", b->len ? " " : "", word);
}

static void completion_offers_what_may_stand_there(void **state)
{
        static const struct {
                const char *line, *words;
        } rows[] = {
                {"fl", "flow"},
                {"s", "shell status service"},
                {"zz", ""},
                {"service ''", "list show"},
                {"service s", "show"},
                {"help fl", "flow"},
                {"help flow ''", "list"},
                {"completion ''", "bash zsh"},
                {"completion z", "zsh"},
                {"flow list --pr", "--proto"},
                {"flow list --proto ''", "tcp udp sctp icmp"},
                {"flow list --proto u", "udp"},
                {"flow list --proto=s", "--proto=sctp"},
                {"flow list --proto = s", "sctp"},
                {"flow list --proto =", "tcp udp sctp icmp"},
                {"flow list -o js", "json"},
                {"flow list --output w", "wide"},
                {"flow list --src ''", ""},
                {"flow list --proto tcp --stat", "--state"},
                {"status --color n", "never"},
                {"status --co", "--color"},
                {"drops --al", "--all"},
                {"nothing ''", ""},
                {"service show --pin-root /nowhere ''", ""},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
                struct line l;

                cut(&l, rows[i].line);
                complete_words(l.count, l.words, add_word, &b);
                if (strcmp(b.len ? b.data : "", rows[i].words) != 0)
                        fail_msg("%s: offers `%s`, not `%s`", rows[i].line, b.len ? b.data : "", rows[i].words);
        }
}

static void nothing_typed_offers_every_command(void **state)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        complete_words(0, NULL, add_word, &b);
        for (size_t i = 0; cli_commands[i]; i++) {
                char first[64];

                snprintf(first, sizeof(first), "%.*s", (int)strcspn(cli_commands[i]->name, " "), cli_commands[i]->name);
                assert_int_equal(strstr(b.data, first) != NULL, !cli_commands[i]->hidden);
        }
}

/* ---- names of services */

static void services_are_meant_by_several_words(void **state)
{
        static const struct {
                const char *name, *typed;
                bool match;
        } rows[] = {
                {"default/web:http/TCP", "default/web", true},
                {"default/web:http/TCP", "default/web:http", true},
                {"default/web:http/TCP", "default/web:http/TCP", true},
                {"default/web:http/TCP", "default/web:htt", false},
                {"default/web:http/TCP", "default/we", false},
                {"default/web:http/TCP", "default/", true},
                {"default/web:http/TCP", "web", true},
                {"default/web:http/TCP", "web:http", true},
                {"default/web:http/TCP", "http", false},
                {"default/web:http/TCP", "TCP", false},
                {"default/web:http/TCP", "default", false},
                {"default/web:http/TCP", "", false},
                {"default/web2:http/TCP", "default/web", false},
                {"other/web:http/TCP", "default/web", false},
                {"default/web:80/UDP", "web:80", true},
                {"hostPort/0.0.0.0:8080/TCP", "hostPort/", true},
                {"hostPort/fd00::1:8080/TCP", "hostPort/fd00::1", true},
        };
        char cut_name[SERVICE_NAME_SIZE];

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                if (service_name_matches(rows[i].name, rows[i].typed) != rows[i].match)
                        fail_msg("%s, typed %s", rows[i].name, rows[i].typed);
        service_name_cut("default/web:http/TCP", cut_name);
        assert_string_equal(cut_name, "default/web");
        service_name_cut("hostPort/fd00::1:8080/TCP", cut_name);
        assert_string_equal(cut_name, "hostPort/fd00::1");
        service_name_cut("default/web", cut_name);
        assert_string_equal(cut_name, "default/web");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(commands_are_found_by_their_words),
                cmocka_unit_test(flags_are_taken_in_all_spellings),
                cmocka_unit_test(a_flag_may_come_several_times),
                cmocka_unit_test(what_is_wrong_is_named),
                cmocka_unit_test(mistyped_commands_get_the_near_one),
                cmocka_unit_test(a_group_without_a_verb_gets_one_heading),
                cmocka_unit_test(every_command_explains_itself),
                cmocka_unit_test(completion_offers_what_may_stand_there),
                cmocka_unit_test(nothing_typed_offers_every_command),
                cmocka_unit_test(services_are_meant_by_several_words),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
