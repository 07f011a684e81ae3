#include "proto/rundir.h"

#include <windows.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/error.h"
#include "proto/oserr.h"
#include "proto/utf_win32.h"

#define NAME_MAX_HERE 64 /* of a runtime directory; leaves room for what is added to it */
#define WIDE_ROOM 1024

/* ---- which name ---- */

static bool is_name(const char *text)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

    return text[0] && strspn(text, allowed) == strlen(text);
}

/* FNV-1a: names need not be secret, only the same each time. */
static uint64_t hash_of(const char *text)
{
    uint64_t hash = 14695981039346656037u;

    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 1099511628211u;
    return hash;
}

/* Windows does not tell "C:\\Run" from "c:/run/", so neither do we. */
static bool fold_path(const char *path, char *folded_out, size_t size)
{
    wchar_t wide[WIDE_ROOM], full[WIDE_ROOM], lower[WIDE_ROOM];
    DWORD len = sb_utf_widen(path, wide, WIDE_ROOM) ? GetFullPathNameW(wide, WIDE_ROOM, full, NULL) : 0;

    if (!len || len >= WIDE_ROOM)
        return false;
    while (len > 3 && full[len - 1] == L'\\')
        full[--len] = L'\0';
    return LCMapStringEx(LOCALE_NAME_INVARIANT, LCMAP_LOWERCASE, full, -1, lower, WIDE_ROOM, NULL, NULL, 0) &&
           sb_utf_narrow(lower, folded_out, size);
}

static bool is_one_of(WELL_KNOWN_SID_TYPE kind)
{
    uint8_t sid[SECURITY_MAX_SID_SIZE];
    DWORD size = sizeof(sid);
    BOOL is_member = FALSE;

    return CreateWellKnownSid(kind, NULL, sid, &size) && CheckTokenMembership(NULL, sid, &is_member) && is_member;
}

/* SERVICE is who was logged on as one, which SYSTEM never is. The session tells nothing: shells over SSH run in session 0, too.
 */
static bool is_service(void)
{
    return is_one_of(WinServiceSid) || is_one_of(WinLocalSystemSid);
}

static void default_name(char *name_out, size_t size)
{
    wchar_t wide[257] = L"";
    char user[512] = "";
    DWORD room = 257;

    if (is_service()) {
        snprintf(name_out, size, "sockbroker");
        return;
    }
    if (!GetUserNameW(wide, &room) || !sb_utf_narrow(wide, user, sizeof(user)))
        user[0] = '\0';
    if (is_name(user) && strlen(user) <= 32)
        snprintf(name_out, size, "sockbroker-%s", user);
    else
        snprintf(name_out, size, "sockbroker-%016llx", (unsigned long long)hash_of(user));
}

static sockbroker_status too_long(const char *given, struct sockbroker_error *error)
{
    return sb_error_set(error, SOCKBROKER_INVALID, 0, "runtime directory \"%.60s...\" has %zu bytes; %d is the most", given,
                        strlen(given), NAME_MAX_HERE);
}

/* getenv() would give the text in the code page of the system. */
static bool read_environment(char *text_out, size_t size)
{
    wchar_t wide[WIDE_ROOM];
    DWORD len = GetEnvironmentVariableW(L"SOCKBROKER_DIR", wide, WIDE_ROOM);

    return len && len < WIDE_ROOM && sb_utf_narrow(wide, text_out, size);
}

sockbroker_status sb_rundir_find(const char *given, char dir_out[SB_RUNDIR_MAX], struct sockbroker_error *error_out)
{
    char named[4 * WIDE_ROOM], folded[4 * WIDE_ROOM];

    if (!given || !given[0])
        given = read_environment(named, sizeof(named)) ? named : NULL;
    if (!given) {
        default_name(dir_out, SB_RUNDIR_MAX);
    } else if (is_name(given)) {
        if (strlen(given) > NAME_MAX_HERE)
            return too_long(given, error_out);
        snprintf(dir_out, SB_RUNDIR_MAX, "%s", given);
    } else {
        if (!fold_path(given, folded, sizeof(folded)))
            return sb_error_set(error_out, SOCKBROKER_INVALID, 0,
                                "runtime directory \"%.60s\" is neither a name of letters, digits, '.', '_' and '-' nor a path",
                                given);
        snprintf(dir_out, SB_RUNDIR_MAX, "sockbroker-%016llx", (unsigned long long)hash_of(folded));
    }
    return SOCKBROKER_OK;
}

const char *sb_rundir_path(const char *dir, const char *file, char path_out[SB_PATH_MAX])
{
    snprintf(path_out, SB_PATH_MAX, "%.*s-%.8s", SB_RUNDIR_MAX - 1, dir, file);
    return path_out;
}

/* ---- the claim ---- */

/* It is there already when workers live whose broker does not: one that ends in good order ends them first. So it is when it
 * is another account's, which makes us wait for nobody for a while, no more. */
static void open_mark(struct sb_rundir *r)
{
    SECURITY_ATTRIBUTES inheritable = { sizeof(inheritable), NULL, TRUE };
    char path[SB_PATH_MAX], name[SB_PATH_MAX + 8];
    wchar_t wide[SB_PATH_MAX + 8];
    HANDLE mark = NULL;

    snprintf(name, sizeof(name), "Global\\%s", sb_rundir_path(r->dir, "workers", path));
    if (sb_utf_widen(name, wide, SB_PATH_MAX + 8))
        mark = CreateEventW(&inheritable, TRUE, FALSE, wide);
    r->was_left = !mark || GetLastError() == ERROR_ALREADY_EXISTS;
    if (mark)
        r->mark = (sockbroker_socket)mark;
}

/* The name of the mutex is the lock: it is there as long as the process that made it. Global: services and users meet. */
sockbroker_status sb_rundir_open(const char *dir, uint32_t mode, struct sb_rundir *rundir_out,
                                 struct sockbroker_error *error_out)
{
    struct sb_rundir r = SB_RUNDIR_NONE;
    char path[SB_PATH_MAX], name[SB_PATH_MAX + 8];
    wchar_t wide[SB_PATH_MAX + 8];

    snprintf(name, sizeof(name), "Global\\%s", sb_rundir_path(dir, "lock", path));
    if (!sb_utf_widen(name, wide, SB_PATH_MAX + 8))
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "%s: is not UTF-8", dir);
    HANDLE lock = CreateMutexW(NULL, FALSE, wide);
    DWORD code = GetLastError();
    if (!lock && code == ERROR_ACCESS_DENIED)
        return sb_error_set(error_out, SOCKBROKER_UNSAFE_PATH, (int)code,
                            "%s: another account holds this name; stop its broker, or name another --dir", dir);
    if (!lock)
        return sb_oserr_set(error_out, (int)code, name, NULL);
    if (code == ERROR_ALREADY_EXISTS) {
        CloseHandle(lock);
        return sb_error_set(error_out, SOCKBROKER_BUSY, 0,
                            "%s: a broker is already running there; use it, stop it, or name another --dir", dir);
    }
    snprintf(r.dir, sizeof(r.dir), "%s", dir);
    r.mode = mode;
    r.lock = (sockbroker_socket)lock;
    r.generation = 1;
    open_mark(&r);
    *rundir_out = r;
    return SOCKBROKER_OK;
}

void sb_rundir_close(struct sb_rundir *r)
{
    if (r->lock != SOCKBROKER_SOCKET_NONE)
        CloseHandle((HANDLE)r->lock);
    if (r->mark != SOCKBROKER_SOCKET_NONE)
        CloseHandle((HANDLE)r->mark);
    r->lock = r->mark = SOCKBROKER_SOCKET_NONE;
}

const char *sb_rundir_private_path(const struct sb_rundir *r, const char *file, char path_out[SB_PATH_MAX])
{
    return sb_rundir_path(r->dir, file, path_out);
}

sockbroker_status sb_rundir_publish(const struct sb_rundir *r, const char *file, struct sockbroker_error *error_out)
{
    (void)r;
    (void)file;
    (void)error_out;
    return SOCKBROKER_OK;
}

/* ---- upgrade: there is none here ---- */

static sockbroker_status no_upgrade(struct sockbroker_error *error)
{
    return sb_error_set(error, SOCKBROKER_UNSUPPORTED, 0,
                        "no broker takes over from another on Windows; stop this one and start the other");
}

sockbroker_status sb_rundir_adopt(const char *dir, uint32_t mode, sockbroker_socket *lock, struct sb_rundir *rundir_out,
                                  struct sockbroker_error *error_out)
{
    (void)dir;
    (void)mode;
    (void)lock;
    (void)rundir_out;
    return no_upgrade(error_out);
}

sockbroker_status sb_rundir_keep(const struct sb_rundir *rundir, struct sockbroker_error *error_out)
{
    (void)rundir;
    return no_upgrade(error_out);
}

void sb_rundir_put_back(const struct sb_rundir *rundir)
{
    (void)rundir;
}

void sb_rundir_forget(const struct sb_rundir *rundir)
{
    (void)rundir;
}
