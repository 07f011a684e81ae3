#include "broker/inherited_handles_win32.h"

#include <stdlib.h>
#include <string.h>

static bool open_nowhere(DWORD access, HANDLE *handle_out)
{
    SECURITY_ATTRIBUTES inheritable = { sizeof(inheritable), NULL, TRUE };
    HANDLE h = CreateFileW(L"NUL", access, FILE_SHARE_READ | FILE_SHARE_WRITE, &inheritable, OPEN_EXISTING, 0, NULL);

    *handle_out = h == INVALID_HANDLE_VALUE ? NULL : h;
    return *handle_out != NULL;
}

static bool copy_own(DWORD which, DWORD access, HANDLE *handle_out)
{
    HANDLE own = GetStdHandle(which);
    HANDLE us = GetCurrentProcess();

    if (own && own != INVALID_HANDLE_VALUE && DuplicateHandle(us, own, us, handle_out, 0, TRUE, DUPLICATE_SAME_ACCESS))
        return true;
    return open_nowhere(access, handle_out);
}

static bool make_list(struct sb_inherited_handles *h, HANDLE more)
{
    size_t n = more ? 4 : 3;
    SIZE_T size = 0;

    memcpy(h->all, h->standard, sizeof(h->standard));
    h->all[3] = more;
    InitializeProcThreadAttributeList(NULL, 1, 0, &size);
    LPPROC_THREAD_ATTRIBUTE_LIST list = calloc(1, size);
    if (!list || !InitializeProcThreadAttributeList(list, 1, 0, &size)) {
        free(list);
        return false;
    }
    h->list = list;
    return UpdateProcThreadAttribute(list, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, h->all, n * sizeof(HANDLE), NULL, NULL);
}

bool sb_inherited_handles_open(struct sb_inherited_handles *h, bool has_input, HANDLE more)
{
    HANDLE *in = &h->standard[0];

    return (has_input ? copy_own(STD_INPUT_HANDLE, GENERIC_READ, in) : open_nowhere(GENERIC_READ, in)) &&
           copy_own(STD_OUTPUT_HANDLE, GENERIC_WRITE, &h->standard[1]) &&
           copy_own(STD_ERROR_HANDLE, GENERIC_WRITE, &h->standard[2]) && make_list(h, more);
}

STARTUPINFOEXW sb_inherited_handles_use(const struct sb_inherited_handles *h)
{
    STARTUPINFOEXW how = { .StartupInfo = { .cb = sizeof(how),
                                            .dwFlags = STARTF_USESTDHANDLES,
                                            .hStdInput = h->standard[0],
                                            .hStdOutput = h->standard[1],
                                            .hStdError = h->standard[2] },
                           .lpAttributeList = h->list };

    return how;
}

void sb_inherited_handles_close(struct sb_inherited_handles *h)
{
    for (size_t i = 0; i < 3; i++) {
        if (h->standard[i])
            CloseHandle(h->standard[i]);
    }
    if (h->list)
        DeleteProcThreadAttributeList(h->list);
    free(h->list);
    memset(h, 0, sizeof(*h));
}
