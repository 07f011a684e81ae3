#include "broker/config_load.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <uv.h>

#include "proto/error.h"

static const struct {
    int uv_code;
    sockbroker_status status;
    const char *text;
} reasons[] = {
    { UV_ENOENT, SOCKBROKER_NOT_FOUND, "there is no such file; check the path" },
    { UV_ENOTDIR, SOCKBROKER_NOT_FOUND, "a part of the path is not a directory; check the path" },
    { UV_EACCES, SOCKBROKER_PERMISSION, "this user may not read it; change its mode or owner" },
    { UV_EPERM, SOCKBROKER_PERMISSION, "this user may not read it; change its mode or owner" },
    { UV_ENOMEM, SOCKBROKER_NO_MEMORY, "there is no memory to read it" },
    { UV_ELOOP, SOCKBROKER_INVALID, "its symbolic links go round in a circle; check the path" },
    { UV_ENAMETOOLONG, SOCKBROKER_INVALID, "the path is too long for the system" },
    { UV_EISDIR, SOCKBROKER_INVALID, "it is not a regular file; give the path of a text file" },
    { UV_ENXIO, SOCKBROKER_INVALID, "it is not a regular file; give the path of a text file" },
};

/* All answers of this file go through here: uv_code 0 is a rule of ours. */
static sockbroker_status refuse(const char *path, sockbroker_status st, int os_code, const char *text,
                                struct sockbroker_error *error_out)
{
    char quoted[SB_QUOTE_MAX * 2];

    return sb_error_set(error_out, st, os_code, "%s: %s", sb_quote(path, strlen(path), quoted, sizeof(quoted)), text);
}

static sockbroker_status refuse_os(const char *path, const uv_fs_t *req, struct sockbroker_error *error_out)
{
    int uv_code = (int)req->result;

    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].uv_code == uv_code)
            return refuse(path, reasons[i].status, uv_fs_get_system_error(req), reasons[i].text, error_out);
    return refuse(path, SOCKBROKER_SYSTEM, uv_fs_get_system_error(req), uv_strerror(uv_code), error_out);
}

static sockbroker_status check_kind(const char *path, uv_file file, struct sockbroker_error *error_out)
{
    sockbroker_status st = SOCKBROKER_OK;
    uv_fs_t req;

    if (uv_fs_fstat(NULL, &req, file, NULL) < 0)
        st = refuse_os(path, &req, error_out);
    else if ((req.statbuf.st_mode & S_IFMT) != S_IFREG)
        st = refuse(path, SOCKBROKER_INVALID, 0, "it is not a regular file; give the path of a text file", error_out);
    uv_fs_req_cleanup(&req);
    return st;
}

/* Fills text, which has SB_CONFIG_FILE_MAX + 1 bytes; the size that fstat() tells is not needed. */
static sockbroker_status read_all(const char *path, uv_file file, char *text, size_t *len_out,
                                  struct sockbroker_error *error_out)
{
    size_t len = 0;
    uv_fs_t req;

    for (;;) {
        uv_buf_t rest = uv_buf_init(text + len, SB_CONFIG_FILE_MAX + 1 - (unsigned)len);
        int n = uv_fs_read(NULL, &req, file, &rest, 1, -1, NULL);

        uv_fs_req_cleanup(&req);
        if (n < 0)
            return refuse_os(path, &req, error_out);
        len += (size_t)n;
        if (len > SB_CONFIG_FILE_MAX)
            return refuse(path, SOCKBROKER_INVALID, 0, "it has more than 1 MiB; is it the right file?", error_out);
        if (n == 0)
            break;
    }
    text[len] = '\0';
    *len_out = len;
    return SOCKBROKER_OK;
}

static sockbroker_status read_file(const char *path, uv_file file, char **text_out, size_t *len_out,
                                   struct sockbroker_error *error_out)
{
    char *text;
    sockbroker_status st = check_kind(path, file, error_out);

    if (st)
        return st;
    text = malloc(SB_CONFIG_FILE_MAX + 1);
    if (!text)
        return refuse(path, SOCKBROKER_NO_MEMORY, 0, "there is no memory to read it", error_out);
    st = read_all(path, file, text, len_out, error_out);
    if (st)
        free(text);
    else
        *text_out = text;
    return st;
}

sockbroker_status sb_config_load(const char *path, char **text_out, size_t *len_out, struct sockbroker_error *error_out)
{
    uv_fs_t req;
    uv_file file = uv_fs_open(NULL, &req, path, UV_FS_O_RDONLY | UV_FS_O_NONBLOCK, 0, NULL);
    sockbroker_status st;

    uv_fs_req_cleanup(&req);
    if (file < 0)
        return refuse_os(path, &req, error_out);
    st = read_file(path, file, text_out, len_out, error_out);
    uv_fs_close(NULL, &req, file, NULL);
    uv_fs_req_cleanup(&req);
    return st;
}
