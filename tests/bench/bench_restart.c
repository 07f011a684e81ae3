/* Restarts servers under a steady load, each in its own way, and tells what the clients saw. All ways take turns (A B C A B C
 * ...); each window with a restart is followed by one of the same length without. See README.md. */
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "restart.h"

#define WARM_UP_MS 500
#define GAP_MS 200 /* after a restart's window, before the one without */
#define LINE_MS 30000

static const char usage[] =
    "usage: bench_restart [--bin DIR] [--rounds R] [--restarts N] [--window-ms T] [--rate N] [--kept K]\n"
    "                     [--only NAME[,NAME]...] [--windows]\n";

static struct way_results results[MAX_WAYS];

/* The load that runs. */
struct load_process {
    pid_t pid;
    int lines;
};

static _Noreturn void refuse(const char *what, const char *value)
{
    fprintf(stderr, "bench_restart: %s: %s\n%s", what, value, usage);
    exit(2);
}

static int number(const char *text, int min, int max)
{
    char *end;
    long value = strtol(text, &end, 10);

    if (end == text || *end || value < min || value > max)
        refuse("number out of range", text);
    return (int)value;
}

static void parse(int argc, char **argv, struct restart_settings *settings)
{
    static const struct option options[] = {
        { "bin", required_argument, NULL, 'b' },
        { "rounds", required_argument, NULL, 'r' },
        { "restarts", required_argument, NULL, 'n' },
        { "window-ms", required_argument, NULL, 'w' },
        { "rate", required_argument, NULL, 'a' },
        { "kept", required_argument, NULL, 'k' },
        { "only", required_argument, NULL, 'o' },
        { "windows", no_argument, NULL, 'v' },
        { 0 },
    };

    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'b':
            settings->bin_dir = optarg;
            break;
        case 'r':
            settings->n_rounds = number(optarg, 1, 100);
            break;
        case 'n':
            settings->n_restarts = number(optarg, 1, MAX_RESTARTS);
            break;
        case 'w':
            settings->window_ms = number(optarg, 600, 60000);
            break;
        case 'a':
            settings->rate = number(optarg, 1, 10000);
            break;
        case 'k':
            settings->n_kept = number(optarg, 0, 1000);
            break;
        case 'o':
            settings->only = optarg;
            break;
        case 'v':
            settings->tells = true;
            break;
        default:
            refuse("unknown option", argv[optind - 1]);
        }
    }
    if (optind != argc)
        refuse("not an option", argv[optind]);
    if (settings->n_rounds * settings->n_restarts > MAX_RESTARTS)
        refuse("too many restarts", "rounds times restarts is at most 1000");
}

static void start_load(const struct restart_settings *settings, const struct service *service, struct load_process *load_out)
{
    char program[MAX_PATH];
    char log_path[MAX_PATH];
    char numbers[3][12];
    char *argv[] = { program, "--port", numbers[0], "--rate", numbers[1], "--kept", numbers[2], NULL };

    bin_path(settings, "restart_load", program);
    service_log_path(service, log_path);
    snprintf(numbers[0], sizeof numbers[0], "%d", service->port);
    snprintf(numbers[1], sizeof numbers[1], "%d", settings->rate);
    snprintf(numbers[2], sizeof numbers[2], "%d", settings->n_kept);
    load_out->pid = process_start(argv, log_path, &load_out->lines);
}

static struct window_sample parse_window(const char *line)
{
    return (struct window_sample){
        .fresh = client_value(line, "fresh="),
        .kept = client_value(line, " kept="),
        .refused = client_value(line, " refused="),
        .reset = client_value(line, " reset="),
        .empty = client_value(line, " empty="),
        .cut = client_value(line, " cut="),
        .wrong = client_value(line, " wrong="),
        .timeout = client_value(line, " timeout="),
        .other = client_value(line, " other="),
        .kept_failed = client_value(line, " kept_failed="),
        .announced = client_value(line, " announced="),
        .idle = client_value(line, " idle="),
        .p50_ms = client_value(line, " p50_us=") / 1e3,
        .p99_ms = client_value(line, " p99_us=") / 1e3,
        .max_ms = client_value(line, " max_us=") / 1e3,
        .lag_ms = client_value(line, " lag_us=") / 1e3,
    };
}

static void add_to_total(struct window_sample *total, const struct window_sample *s)
{
    total->fresh += s->fresh;
    total->kept += s->kept;
    total->refused += s->refused;
    total->reset += s->reset;
    total->empty += s->empty;
    total->cut += s->cut;
    total->wrong += s->wrong;
    total->timeout += s->timeout;
    total->other += s->other;
    total->kept_failed += s->kept_failed;
    total->announced += s->announced;
    total->idle += s->idle;
}

/* Ends the window that is open and learns what happened in it. */
static bool end_window(const struct restart_settings *settings, const struct load_process *load, const char *what,
                       struct way_results *r, struct window_sample *sample_out)
{
    char line[1024];

    kill(load->pid, SIGUSR1);
    if (!process_read_line(load->lines, line, sizeof line, LINE_MS))
        return false;
    if (settings->tells)
        printf("%s: %s\n", what, line);
    *sample_out = parse_window(line);
    add_to_total(&r->total, sample_out);
    return true;
}

static bool restart_once(const struct restart_settings *settings, const struct way *way, struct service *service,
                         double *took_ms_out)
{
    int64_t began_ms = process_clock_ms();
    bool ok = true;

    for (int i = 0; ok && i < way->n_times; i++)
        ok = way->restart(settings, service);
    *took_ms_out = (double)(process_clock_ms() - began_ms) / way->n_times;
    return ok;
}

static void pause_until_ms(int64_t at_ms)
{
    while (process_clock_ms() < at_ms && !interrupted())
        process_pause_ms((int)(at_ms - process_clock_ms()));
}

/* CPU of the server over a window, in ms for each second. */
static double cpu_rate(uint64_t used_ns, int64_t window_ms)
{
    return (double)used_ns / 1e3 / (double)window_ms;
}

static bool measure_restart(const struct restart_settings *settings, const struct way *way, struct service *service,
                            const struct load_process *load, struct way_results *r)
{
    struct window_sample between;
    struct window_sample *with = &r->with[r->n];
    struct window_sample *without = &r->without[r->n];
    int64_t began_ms = process_clock_ms();
    uint64_t began_ns = cpu_descendants_ns(&load->pid, 1);
    uint64_t used_ns;
    int64_t length_ms;

    if (!restart_once(settings, way, service, &r->took_ms[r->n])) {
        fprintf(stderr, "%s: the restart did not come to an end\n", way->name);
        return false;
    }
    pause_until_ms(began_ms + settings->window_ms);
    length_ms = process_clock_ms() - began_ms;
    used_ns = cpu_descendants_ns(&load->pid, 1) - began_ns;
    if (!end_window(settings, load, way->name, r, with))
        return false;
    with->cpu_ms = cpu_rate(used_ns, length_ms);
    process_pause_ms(GAP_MS);
    if (!end_window(settings, load, "between", r, &between))
        return false;
    began_ns = cpu_descendants_ns(&load->pid, 1);
    pause_until_ms(process_clock_ms() + length_ms);
    used_ns = cpu_descendants_ns(&load->pid, 1) - began_ns;
    if (!end_window(settings, load, "without", r, without))
        return false;
    without->cpu_ms = cpu_rate(used_ns, length_ms);
    with->seconds = without->seconds = (double)length_ms / 1e3;
    r->n++;
    return !interrupted();
}

static bool measure(const struct restart_settings *settings, const struct way *way, struct way_results *r)
{
    struct load_process load = { 0, -1 };
    struct window_sample warm_up;
    struct service service;
    bool ok;

    service_open(&service);
    service.port = service_free_port();
    ok = way->start(settings, &service);
    if (ok) {
        start_load(settings, &service, &load);
        process_pause_ms(WARM_UP_MS);
        ok = end_window(settings, &load, "warm-up", r, &warm_up);
    }
    for (int i = 0; ok && i < settings->n_restarts; i++)
        ok = measure_restart(settings, way, &service, &load, r);
    if (!ok && !interrupted()) {
        fprintf(stderr, "%s failed; its messages:\n", way->name);
        service_show_log(&service);
    }
    if (load.pid) {
        kill(load.pid, SIGTERM);
        process_wait(load.pid, 2000);
        close(load.lines);
    }
    service_stop(&service);
    return ok;
}

static void run_round(const struct restart_settings *settings)
{
    for (size_t i = 0; i < n_ways && !interrupted(); i++)
        if (!results[i].skipped && !measure(settings, &ways[i], &results[i]) && !interrupted())
            results[i].skipped = "failed";
}

static bool is_as_expected(size_t way)
{
    bool lost = window_failed(&results[way].total) > 0;

    if (results[way].skipped)
        return strcmp(results[way].skipped, "failed") != 0;
    switch (ways[way].verdict) {
    case MUST_KEEP:
        return !lost;
    case MUST_LOSE:
        if (!lost)
            printf("%s lost nothing, so this run shows nothing\n", ways[way].name);
        return lost;
    case MAY_LOSE:
        break;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct restart_settings settings = {
        .bin_dir = "build/bin",
        .n_rounds = 3,
        .n_restarts = 5,
        .window_ms = 1000,
        .rate = 1000,
        .n_kept = 20,
    };
    bool ok = true;

    parse(argc, argv, &settings);
    catch_interrupts();
    for (size_t i = 0; i < n_ways; i++)
        results[i].skipped = is_chosen(settings.only, ways[i].name) ? ways[i].missing(&settings) : "not chosen";
    report_machine(stdout);
    printf("%d rounds of %d restarts; %d new connections a second and %d kept ones, 127.0.0.1 and ::1 in turn; %d workers\n",
           settings.n_rounds, settings.n_restarts, settings.rate, settings.n_kept, SERVER_WORKERS);
    fflush(stdout);
    for (int round = 0; round < settings.n_rounds && !interrupted(); round++)
        run_round(&settings);
    if (interrupted()) {
        fputs("bench_restart: interrupted; everything is stopped\n", stderr);
        return 130;
    }
    restart_report(&settings, results);
    for (size_t i = 0; i < n_ways; i++)
        ok = is_as_expected(i) && ok;
    return ok ? 0 : 1;
}
