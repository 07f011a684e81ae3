#include "broker/deposit_memory.h"

#include <stdlib.h>
#include <string.h>

#include "broker/sealed.h"

#define MARK 0x73626431u /* "sbd1": another number with each change of the record */

struct head {
    uint32_t mark;
    uint32_t size; /* of the record */
    struct sb_deposit_record record;
};

sockbroker_status sb_deposit_memory_write(const struct sb_deposit_record *record, const uint8_t *state,
                                          sockbroker_socket *memory_out)
{
    struct head head;

    memset(&head, 0, sizeof(head)); /* padding too: what is written is read by others */
    head.mark = MARK;
    head.size = sizeof(head.record);
    head.record = *record;
    memset(&head.record.asked.session, 0, sizeof(head.record.asked.session));
    return sb_sealed_write(&head, sizeof(head), state, record->asked.state_len, memory_out);
}

static bool is_text(const char *text, size_t size)
{
    const char *nul = memchr(text, '\0', size);

    return nul && sb_name_is_valid(text, (size_t)(nul - text));
}

static bool is_sound(const struct sb_deposit_record *r)
{
    return is_text(r->asked.name, sizeof(r->asked.name)) && is_text(r->owner, sizeof(r->owner)) &&
           r->asked.state_len <= SB_STATE_MAX && r->asked.n_allow_uids <= SB_ALLOW_UIDS_MAX &&
           r->asked.lifetime_ms <= SB_LIFETIME_MS_MAX;
}

sockbroker_status sb_deposit_memory_read(sockbroker_socket memory, struct sb_deposit_record *record_out, uint8_t **state_out)
{
    struct head head;
    uint8_t *state = NULL;

    if (!sb_sealed_read(memory, 0, &head, sizeof(head)))
        return SOCKBROKER_BAD_MESSAGE;
    if (head.mark != MARK || head.size != sizeof(head.record))
        return SOCKBROKER_VERSION;
    if (!is_sound(&head.record))
        return SOCKBROKER_BAD_MESSAGE;
    size_t len = head.record.asked.state_len;
    if (len && !(state = malloc(len)))
        return SOCKBROKER_NO_MEMORY;
    if (len && !sb_sealed_read(memory, sizeof(head), state, len)) {
        free(state);
        return SOCKBROKER_BAD_MESSAGE;
    }
    *record_out = head.record;
    *state_out = state;
    return SOCKBROKER_OK;
}
