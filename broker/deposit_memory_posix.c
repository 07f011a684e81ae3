#include "broker/deposit_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "proto/oserr.h"
#include "proto/socket.h"

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
    struct iovec parts[] = { { &head, sizeof(head) }, { (void *)(uintptr_t)state, record->asked.state_len } };
    sockbroker_socket memory = memfd_create("sockbroker-deposit", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (memory < 0)
        return sb_oserr_status(errno);
    memset(&head, 0, sizeof(head)); /* padding too: what is written is read by others */
    head.mark = MARK;
    head.size = sizeof(head.record);
    head.record = *record;
    memset(&head.record.asked.session, 0, sizeof(head.record.asked.session));
    if (writev(memory, parts, 2) != (ssize_t)(sizeof(head) + record->asked.state_len)) {
        sb_socket_close(&memory);
        return SOCKBROKER_NO_MEMORY;
    }
    fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
    *memory_out = memory;
    return SOCKBROKER_OK;
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

    if (pread(memory, &head, sizeof(head), 0) != (ssize_t)sizeof(head))
        return SOCKBROKER_BAD_MESSAGE;
    if (head.mark != MARK || head.size != sizeof(head.record))
        return SOCKBROKER_VERSION;
    if (!is_sound(&head.record))
        return SOCKBROKER_BAD_MESSAGE;
    size_t len = head.record.asked.state_len;
    if (len && !(state = malloc(len)))
        return SOCKBROKER_NO_MEMORY;
    if (len && pread(memory, state, len, sizeof(head)) != (ssize_t)len) {
        free(state);
        return SOCKBROKER_BAD_MESSAGE;
    }
    *record_out = head.record;
    *state_out = state;
    return SOCKBROKER_OK;
}
