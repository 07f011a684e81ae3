#include "broker/explain.h"

#define TIME_TEXT_MAX 24

static const char *time_text(bool is_known, unsigned ms, char text[TIME_TEXT_MAX])
{
    if (!is_known)
        return "-";
    snprintf(text, TIME_TEXT_MAX, "%u ms", ms);
    return text;
}

static void print_result(const struct sockbroker_attempt *a, FILE *to)
{
    if (a->status == SOCKBROKER_OK)
        fputs("connected\n", to);
    else if (a->status == SOCKBROKER_AGAIN)
        fprintf(to, "%s\n", a->text[0] ? a->text : "not tried");
    else
        fprintf(to, "%s: %s\n", sockbroker_status_name(a->status), a->text);
}

void sb_explain_print(const struct sockbroker_attempt *attempts, size_t n_attempts, FILE *to)
{
    char destination[SOCKBROKER_ADDR_TEXT_MAX], source[SOCKBROKER_ADDR_TEXT_MAX];
    char started[TIME_TEXT_MAX], ended[TIME_TEXT_MAX];

    if (n_attempts)
        fprintf(to, "%5s  %-36s %-30s %9s %9s  %s\n", "order", "destination", "source", "started", "ended", "result");
    for (size_t i = 0; i < n_attempts; i++) {
        const struct sockbroker_attempt *a = &attempts[i];

        fprintf(to, "%5zu  %-36s %-30s %9s %9s  ", i + 1, sockbroker_addr_format(&a->destination, destination),
                sockbroker_addr_format_ip(&a->source, source), time_text(a->started, a->started_ms, started),
                time_text(a->started, a->ended_ms, ended));
        print_result(a, to);
    }
    fflush(to); /* Windows keeps back even what goes to stderr, unless it is a console */
}
