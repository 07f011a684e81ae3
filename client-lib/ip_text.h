/* ip_text.h: the text of a bare IP address: no port, no brackets, no zone, no prefix length. */
#ifndef SB_CLIENT_LIB_IP_TEXT_H
#define SB_CLIENT_LIB_IP_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sockbroker/socket.h"

/* These read exactly len bytes and answer NULL when the address was written, else a static half sentence that says
 * what is wrong and what to write, for the end of an error text. */
const char *sb_ipv4_read(const char *text, size_t len, uint8_t ip_out[4]);
const char *sb_ipv6_read(const char *text, size_t len, uint8_t ip_out[16]);

/* Either family; port and scope become 0. */
const char *sb_ip_read(const char *text, size_t len, struct sockbroker_addr *addr_out);

/* Whether the writer most likely meant IPv6: a colon comes before any dot. Says nothing about being valid. */
bool sb_ip_looks_like_ipv6(const char *text, size_t len);

#endif
