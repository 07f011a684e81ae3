#include "broker/config_words.h"

#include "broker/config.h"

const struct sb_word sb_family_words[] = {
    { "dual", SB_FAMILY_DUAL }, { "split", SB_FAMILY_SPLIT }, { "ipv4", SB_FAMILY_IPV4 }, { "ipv6", SB_FAMILY_IPV6 }, { 0 },
};

const struct sb_word sb_mode_words[] = {
    { "handoff", SB_MODE_HANDOFF },
    { "share", SB_MODE_SHARE },
    { "shard", SB_MODE_SHARD },
    { 0 },
};

const struct sb_word sb_protocol_words[] = {
    { "tcp", SB_PROTOCOL_TCP },
    { "udp", SB_PROTOCOL_UDP },
    { 0 },
};

const struct sb_word sb_policy_words[] = {
    { "round-robin", SB_POLICY_ROUND_ROBIN },
    { "least-connections", SB_POLICY_LEAST_CONNECTIONS },
    { "least-pending", SB_POLICY_LEAST_PENDING },
    { "source-hash", SB_POLICY_SOURCE_HASH },
    { 0 },
};

const struct sb_word sb_carrier_words[] = {
    { "direct", SB_CARRIER_DIRECT },
    { "message", SB_CARRIER_MESSAGE },
    { 0 },
};

const struct sb_word sb_overload_words[] = {
    { "hold", SB_OVERLOAD_HOLD },
    { "refuse", SB_OVERLOAD_REFUSE },
    { 0 },
};

const struct sb_word sb_keeping_words[] = {
    { "yes", SB_KEEPING_KEEPER },
    { "no", SB_KEEPING_NONE },
    { "systemd", SB_KEEPING_SYSTEMD },
    { 0 },
};

const struct sb_word sb_log_level_words[] = {
    { "error", SB_LOG_ERROR }, { "warning", SB_LOG_WARNING }, { "notice", SB_LOG_NOTICE },
    { "info", SB_LOG_INFO },   { "debug", SB_LOG_DEBUG },     { 0 },
};

const struct sb_word sb_flag_words[] = {
    { "yes", 1 }, { "no", 0 }, { "true", 1 }, { "false", 0 }, { "on", 1 }, { "off", 0 }, { 0 },
};

static const char *word_of(const struct sb_word *words, int value)
{
    for (; words->word; words++)
        if (words->value == value)
            return words->word;
    return "unknown";
}

const char *sb_family_choice_name(enum sb_family_choice family)
{
    return word_of(sb_family_words, (int)family);
}

const char *sb_mode_name(enum sb_mode mode)
{
    return word_of(sb_mode_words, (int)mode);
}

const char *sb_protocol_name(enum sb_protocol protocol)
{
    return word_of(sb_protocol_words, (int)protocol);
}

const char *sb_policy_name(enum sb_policy policy)
{
    return word_of(sb_policy_words, (int)policy);
}

const char *sb_carrier_name(enum sb_carrier carrier)
{
    return word_of(sb_carrier_words, (int)carrier);
}

const char *sb_overload_name(enum sb_overload overload)
{
    return word_of(sb_overload_words, (int)overload);
}

const char *sb_keeping_name(enum sb_keeping keeping)
{
    return word_of(sb_keeping_words, (int)keeping);
}

const char *sb_log_level_name(enum sb_log_level level)
{
    return word_of(sb_log_level_words, (int)level);
}
