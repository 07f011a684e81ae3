/* wire_text.h: is this text fit to be printed as UTF-8? (For names there is sb_name_is_valid in wire.h.) */
#ifndef SB_PROTO_WIRE_TEXT_H
#define SB_PROTO_WIRE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Well-formed UTF-8 by table 3-7 of the Unicode standard: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool sb_text_is_utf8(const char *text, size_t len);

#endif
