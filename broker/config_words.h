/* config_words.h: the words of the configuration and what they stand for, for config_*.c only. */
#ifndef SB_BROKER_CONFIG_WORDS_H
#define SB_BROKER_CONFIG_WORDS_H

struct sb_word {
    const char *word; /* NULL ends a list */
    int value;        /* SB_WORD_ANNOUNCED: the design has it, this version does not */
};

#define SB_WORD_ANNOUNCED (-1)

extern const struct sb_word sb_family_words[];
extern const struct sb_word sb_mode_words[];
extern const struct sb_word sb_protocol_words[];
extern const struct sb_word sb_policy_words[];
extern const struct sb_word sb_carrier_words[];
extern const struct sb_word sb_overload_words[];
extern const struct sb_word sb_keeping_words[];
extern const struct sb_word sb_log_level_words[];
extern const struct sb_word sb_flag_words[]; /* value 0 or 1; the first of each is the one to show */

#endif
