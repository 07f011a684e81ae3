#include "proto/sid_win32.h"

#include <windows.h>

#include <aclapi.h>
#include <sddl.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/oserr.h"
#include "proto/utf_win32.h"

#define FIRST_NUMBER 1000u /* of the table's first entry */
#define NAME_ROOM 256

union sid {
    SID sid;
    BYTE room[SECURITY_MAX_SID_SIZE];
};

static SRWLOCK lock = SRWLOCK_INIT; /* guards what follows */
static union sid *table;
static uint32_t n_sids;

/* ---- our own ---- */

union token_user {
    TOKEN_USER user;
    BYTE room[sizeof(TOKEN_USER) + SECURITY_MAX_SID_SIZE];
};

static bool read_user(HANDLE token, union token_user *user_out)
{
    DWORD size;

    return GetTokenInformation(token, TokenUser, user_out, sizeof(*user_out), &size);
}

static bool read_own(union token_user *own_out)
{
    HANDLE token;
    bool read = false;

    if (OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token)) {
        read = read_user(token, own_out);
        CloseHandle(token);
    }
    return read;
}

static bool is_own(PSID sid)
{
    union token_user own;

    return read_own(&own) && EqualSid(sid, own.user.User.Sid);
}

/* ---- numbers ---- */

static bool is_root(PSID sid)
{
    return IsWellKnownSid(sid, WinLocalSystemSid) || IsWellKnownSid(sid, WinBuiltinAdministratorsSid);
}

static uint32_t find(PSID sid)
{
    uint32_t i = 0;

    while (i < n_sids && !EqualSid(sid, &table[i]))
        i++;
    return i;
}

/* Lock taken. */
static sockbroker_status add(PSID sid)
{
    union sid *grown = n_sids < UINT32_MAX - FIRST_NUMBER ? realloc(table, (n_sids + 1) * sizeof(*table)) : NULL;

    if (!grown)
        return SOCKBROKER_NO_MEMORY;
    table = grown;
    if (!CopySid(sizeof(table[n_sids]), &table[n_sids], sid))
        return SOCKBROKER_SYSTEM;
    n_sids++;
    return SOCKBROKER_OK;
}

/* Lock taken. */
static sockbroker_status find_or_add(PSID sid, uint32_t *at_out)
{
    uint32_t i = find(sid);
    sockbroker_status st = i == n_sids ? add(sid) : SOCKBROKER_OK;

    if (!st)
        *at_out = i;
    return st;
}

/* Lock taken. Our own account has the first number in each process, whatever others it meets: what a broker notes of its own
 * workers (a deposit's owner) the next broker reads. */
static sockbroker_status begin_table(void)
{
    union token_user own;
    uint32_t first;

    if (n_sids)
        return SOCKBROKER_OK;
    return read_own(&own) ? find_or_add(own.user.User.Sid, &first) : SOCKBROKER_SYSTEM;
}

static sockbroker_status number_of(PSID sid, uint32_t *number_out)
{
    uint32_t at = 0;

    if (is_root(sid)) {
        *number_out = 0;
        return SOCKBROKER_OK;
    }
    AcquireSRWLockExclusive(&lock);
    sockbroker_status st = begin_table();
    if (!st)
        st = find_or_add(sid, &at);
    ReleaseSRWLockExclusive(&lock);
    if (!st)
        *number_out = FIRST_NUMBER + at;
    return st;
}

static bool sid_of(uint32_t number, union sid *sid_out)
{
    DWORD size = sizeof(*sid_out);

    if (number == 0)
        return CreateWellKnownSid(WinLocalSystemSid, NULL, &sid_out->sid, &size);
    AcquireSRWLockShared(&lock);
    bool is_there = number >= FIRST_NUMBER && number - FIRST_NUMBER < n_sids;
    if (is_there)
        *sid_out = table[number - FIRST_NUMBER];
    ReleaseSRWLockShared(&lock);
    return is_there;
}

/* ---- processes ---- */

/* With the right in force: an administrator's ordinary processes have it switched off. */
static bool acts_as_administrator(HANDLE token)
{
    union sid administrators;
    DWORD size = sizeof(administrators);
    HANDLE copy;
    BOOL is_member = FALSE;

    if (!CreateWellKnownSid(WinBuiltinAdministratorsSid, NULL, &administrators.sid, &size) ||
        !DuplicateTokenEx(token, TOKEN_QUERY, NULL, SecurityIdentification, TokenImpersonation, &copy))
        return false;
    if (!CheckTokenMembership(copy, &administrators.sid, &is_member))
        is_member = FALSE;
    CloseHandle(copy);
    return is_member;
}

static sockbroker_status number_of_token(HANDLE token, uint32_t *number_out)
{
    union token_user user;

    if (!read_user(token, &user))
        return sb_oserr_status(sb_oserr_last());
    if (!is_own(user.user.User.Sid) && acts_as_administrator(token)) {
        *number_out = 0;
        return SOCKBROKER_OK;
    }
    return number_of(user.user.User.Sid, number_out);
}

sockbroker_status sb_sid_of_process(sockbroker_socket process, uint32_t *number_out)
{
    HANDLE token;

    /* the copy that asks for membership needs TOKEN_DUPLICATE; without it the account itself is still known */
    if (!OpenProcessToken((HANDLE)process, TOKEN_QUERY | TOKEN_DUPLICATE, &token) &&
        !OpenProcessToken((HANDLE)process, TOKEN_QUERY, &token))
        return sb_oserr_status(sb_oserr_last());
    sockbroker_status st = number_of_token(token, number_out);
    CloseHandle(token);
    return st;
}

uint32_t sb_sid_own(void)
{
    uint32_t number;

    return sb_sid_of_process((sockbroker_socket)GetCurrentProcess(), &number) ? UINT32_MAX : number;
}

bool sb_sid_is_trusted(uint32_t number)
{
    return number == 0 || (number == sb_sid_own() && number != UINT32_MAX);
}

sockbroker_status sb_sid_of_owner(sockbroker_socket object, uint32_t *number_out)
{
    PSECURITY_DESCRIPTOR memory = NULL;
    PSID owner = NULL;
    DWORD failed =
        GetSecurityInfo((HANDLE)object, SE_KERNEL_OBJECT, OWNER_SECURITY_INFORMATION, &owner, NULL, NULL, NULL, &memory);

    if (failed)
        return sb_oserr_status((int)failed);
    sockbroker_status st = owner ? number_of(owner, number_out) : SOCKBROKER_SYSTEM;
    LocalFree(memory);
    return st;
}

/* ---- text ---- */

sockbroker_status sb_sid_read(const char *text, uint32_t *number_out)
{
    wchar_t wide[NAME_ROOM];
    wchar_t domain[NAME_ROOM];
    DWORD domain_room = NAME_ROOM;
    union sid named;
    DWORD size = sizeof(named);
    SID_NAME_USE use;
    PSID sid = NULL;

    if (!sb_utf_widen(text, wide, NAME_ROOM) || !wide[0])
        return SOCKBROKER_NOT_FOUND;
    if (ConvertStringSidToSidW(wide, &sid)) { /* it also knows "SY", "BA" and their like */
        sockbroker_status st = number_of(sid, number_out);

        LocalFree(sid);
        return st;
    }
    if (!LookupAccountNameW(NULL, wide, &named.sid, &size, domain, &domain_room, &use))
        return SOCKBROKER_NOT_FOUND;
    return number_of(&named.sid, number_out);
}

const char *sb_sid_text(uint32_t number, char text_out[SB_SID_TEXT_MAX])
{
    union sid sid;
    wchar_t *wide = NULL;

    snprintf(text_out, SB_SID_TEXT_MAX, "?");
    if (sid_of(number, &sid) && ConvertSidToStringSidW(&sid.sid, &wide)) {
        sb_utf_narrow(wide, text_out, SB_SID_TEXT_MAX);
        LocalFree(wide);
    }
    return text_out;
}

const char *sb_sid_name(uint32_t number, char *text_out, size_t size)
{
    union sid sid;
    wchar_t name[NAME_ROOM], domain[NAME_ROOM], whole[2 * NAME_ROOM];
    DWORD name_room = NAME_ROOM, domain_room = NAME_ROOM;
    char text[SB_SID_TEXT_MAX];
    SID_NAME_USE use;

    if (sid_of(number, &sid) && LookupAccountSidW(NULL, &sid.sid, name, &name_room, domain, &domain_room, &use) &&
        swprintf(whole, 2 * NAME_ROOM, L"%ls%ls%ls", domain, domain[0] ? L"\\" : L"", name) > 0 &&
        sb_utf_narrow(whole, text_out, size))
        return text_out;
    snprintf(text_out, size, "%s", sb_sid_text(number, text));
    return text_out;
}
