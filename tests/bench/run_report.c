#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "run.h"

struct column {
    const char *name;
    size_t offset;
};

static const struct column columns[] = {
    { "rate", offsetof(struct sample, rate) },
    { "p50_us", offsetof(struct sample, p50_us) },
    { "p99_us", offsetof(struct sample, p99_us) },
    { "max_us", offsetof(struct sample, max_us) },
    { "broker_cpu_us", offsetof(struct sample, broker_us) },
    { "workers_cpu_us", offsetof(struct sample, workers_us) },
    { "client_cpu_us", offsetof(struct sample, client_us) },
    { "max_over_mean", offsetof(struct sample, max_over_mean) },
    { "failed", offsetof(struct sample, failed) },
};
enum { RATE, P50, P99, MAX_US, BROKER, WORKERS, CLIENT, BALANCE, FAILED, N_COLUMNS };

struct spread {
    double median, min, max;
    size_t n;
};

static struct spread spread_of(double *values, size_t n)
{
    struct spread s = { .median = median(values, n), .n = n };

    if (n) {
        s.min = values[0];
        s.max = values[n - 1];
    }
    return s;
}

static double cell(const struct sample *sample, int column)
{
    return *(const double *)((const char *)sample + columns[column].offset);
}

static struct spread spread_in(const struct results *r, size_t candidate, int level, int column)
{
    double values[MAX_ROUNDS];
    size_t n = 0;

    for (int i = 0; i < r->settings->n_rounds; i++)
        if (r->valid[candidate][level][i])
            values[n++] = cell(&r->samples[candidate][level][i], column);
    return spread_of(values, n);
}

static double cpu_of_service(const struct sample *s)
{
    return s->broker_us + s->workers_us;
}

static double rate_of(const struct sample *s)
{
    return s->rate;
}

static double p50_of(const struct sample *s)
{
    return s->p50_us;
}

/* Pair by pair within a round, so that what slowed the whole round down cancels out. */
static struct spread ratio_to_base(const struct results *r, size_t candidate, int level, double (*value)(const struct sample *))
{
    size_t base = candidate_base(candidate);
    double ratios[MAX_ROUNDS];
    size_t n = 0;

    for (int i = 0; i < r->settings->n_rounds; i++)
        if (r->valid[candidate][level][i] && r->valid[base][level][i] && value(&r->samples[base][level][i]) > 0)
            ratios[n++] = value(&r->samples[candidate][level][i]) / value(&r->samples[base][level][i]);
    return spread_of(ratios, n);
}

void report_load(FILE *to, const struct settings *settings)
{
    fprintf(to, "%d rounds, %d connections each, %d workers, 127.0.0.1 and ::1 in turn on one dual-stack socket\n",
            settings->n_rounds, settings->n_connections, settings->n_workers);
}

static void table_row(const struct results *r, size_t c, int level)
{
    double v[N_COLUMNS];
    struct spread cpu = ratio_to_base(r, c, level, cpu_of_service);
    struct spread rate = ratio_to_base(r, c, level, rate_of);

    if (spread_in(r, c, level, RATE).n == 0)
        return;
    for (int i = 0; i < N_COLUMNS; i++)
        v[i] = spread_in(r, c, level, i).median;
    printf("%-19s %8.0f %8.1f %8.1f %7.1f %7.1f %7.1f %6.2f %6.0f   %5.2f (%.2f..%.2f)   %5.2f (%.2f..%.2f)\n",
           candidates[c].name, v[RATE], v[P50], v[P99], v[BROKER], v[WORKERS], v[CLIENT], v[BALANCE],
           spread_in(r, c, level, FAILED).max, cpu.median, cpu.min, cpu.max, rate.median, rate.min, rate.max);
}

void report_table(const struct results *r)
{
    for (int level = 0; level < r->settings->n_concurrencies; level++) {
        printf("\nconcurrency %d\n", r->settings->concurrencies[level]);
        printf("%-19s %8s %8s %8s   CPU us per connection %6s %6s   %-18s   %s\n", "", "conns/s", "p50 us", "p99 us", "max/",
               "", "CPU broker+workers", "conns/s");
        printf("%-19s %8s %8s %8s %7s %7s %7s %6s %6s   %-18s   %s\n", "", "", "", "", "broker", "workers", "client", "mean",
               "failed", "ratio (min..max)", "ratio (min..max)");
        for (size_t c = 0; c < n_candidates; c++)
            table_row(r, c, level);
    }
    printf("\nratios to bare; of those that accept by themselves to plain-reuseport\n");
    for (size_t c = 0; c < n_candidates; c++)
        if (r->skipped[c])
            printf("skipped: %s (%s)\n", candidates[c].name, r->skipped[c]);
}

static void json_spread(FILE *to, const char *name, struct spread s, const char *end)
{
    fprintf(to, "\"%s\": {\"median\": %.4f, \"min\": %.4f, \"max\": %.4f}%s", name, s.median, s.min, s.max, end);
}

static void json_sample(FILE *to, const struct sample *sample)
{
    for (int i = 0; i < N_COLUMNS; i++)
        fprintf(to, "%s\"%s\": %.4f", i ? ", " : "{", columns[i].name, cell(sample, i));
    fprintf(to, "}");
}

static void json_result(FILE *to, const struct results *r, size_t c, int level)
{
    const char *separator = "";

    fprintf(to, "    {\"candidate\": \"%s\", \"concurrency\": %d,\n     ", candidates[c].name,
            r->settings->concurrencies[level]);
    for (int i = 0; i < N_COLUMNS; i++)
        json_spread(to, columns[i].name, spread_in(r, c, level, i), ", ");
    fprintf(to, "\n     \"to_%s\": {", candidates[candidate_base(c)].name);
    json_spread(to, "service_cpu", ratio_to_base(r, c, level, cpu_of_service), ", ");
    json_spread(to, "rate", ratio_to_base(r, c, level, rate_of), ", ");
    json_spread(to, "p50", ratio_to_base(r, c, level, p50_of), "},\n     \"rounds\": [");
    for (int i = 0; i < r->settings->n_rounds; i++) {
        if (!r->valid[c][level][i])
            continue;
        fprintf(to, "%s\n      ", separator);
        json_sample(to, &r->samples[c][level][i]);
        separator = ",";
    }
    fprintf(to, "]}");
}

static void json_machine(FILE *to, const struct settings *settings)
{
    struct utsname u;
    char processor[128];

    uname(&u);
    machine_processor(processor);
    fprintf(to, "  \"machine\": {\"cores\": %ld, \"processor\": \"%s\", \"kernel\": \"%s\"},\n", sysconf(_SC_NPROCESSORS_ONLN),
            processor, u.release);
    fprintf(to, "  \"rounds\": %d, \"connections\": %d, \"workers\": %d,\n", settings->n_rounds, settings->n_connections,
            settings->n_workers);
}

bool report_json(const struct results *r)
{
    FILE *to = fopen(r->settings->json_path, "we");
    const char *separator = "\n";

    if (!to) {
        perror(r->settings->json_path);
        return false;
    }
    fprintf(to, "{\n  \"version\": 1,\n");
    json_machine(to, r->settings);
    fprintf(to, "  \"skipped\": {");
    for (size_t c = 0, n = 0; c < n_candidates; c++)
        if (r->skipped[c])
            fprintf(to, "%s\"%s\": \"%s\"", n++ ? ", " : "", candidates[c].name, r->skipped[c]);
    fprintf(to, "},\n  \"results\": [");
    for (int level = 0; level < r->settings->n_concurrencies; level++) {
        for (size_t c = 0; c < n_candidates; c++) {
            if (r->skipped[c])
                continue;
            fprintf(to, "%s", separator);
            json_result(to, r, c, level);
            separator = ",\n";
        }
    }
    fprintf(to, "\n  ]\n}\n");
    return fclose(to) == 0;
}
