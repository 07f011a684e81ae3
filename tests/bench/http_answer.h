/* As much of HTTP/1.1 (RFC 9112) as it takes to know where an answer ends. */
#ifndef HTTP_ANSWER_H
#define HTTP_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

enum http_answer {
    HTTP_PART,  /* the rest is on its way */
    HTTP_WHOLE, /* 200, and all of its body */
    HTTP_WRONG  /* another status, no length, or more than was asked for */
};

/* *closes_out is set with HTTP_WHOLE: the server will close behind this answer. */
enum http_answer http_answer_read(const char *bytes, size_t n, bool *closes_out);

#endif
