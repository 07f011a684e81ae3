/* unit.h: what several unit tests need: a count of descriptors, a folder, a TCP connection, a child, a wait for an event.
 * unit.c, unit_posix.c, unit_win32.c.
 *
 * What may run in a forked child checks with UNIT_REQUIRE: cmocka's assertions would go on with the next test there.
 */
#ifndef SB_TESTS_UNIT_H
#define SB_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client-lib/sysnet.h"
#include "proto/include/sockbroker/socket.h"

#define UNIT_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define UNIT_PATIENCE_MS 10000 /* an event that has not come by then never will */

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define UNIT_SANITIZED 1
#endif
#endif
#if !defined(UNIT_SANITIZED) && (defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__))
#define UNIT_SANITIZED 1
#endif
#ifndef UNIT_SANITIZED
#define UNIT_SANITIZED 0
#endif

#define assert_status(expected, got) unit_assert_status((expected), (got), #got, __FILE__, __LINE__)
void unit_assert_status(sockbroker_status expected, sockbroker_status got, const char *what, const char *file, int line);

/* ---- each test leaves as many descriptors as it found ---- */

/* Windows: handles, of which there may be fewer afterwards. */
int unit_count_descriptors(void);
int unit_setup(void **state);
int unit_teardown(void **state); /* waits for what closes late; -1 with a list of what is new when the number differs */

/* Sockets alone, and waiting until there are n: a library that opens other descriptors of its own at its first use, and keeps
 * them, is warmed up before the tests. */
int unit_count_sockets(void);
bool unit_wait_sockets(int n);

#define UNIT_TEST(f) cmocka_unit_test_setup_teardown(f, unit_setup, unit_teardown)

/* ---- events ---- */

bool unit_wait_for(bool (*holds)(void *), void *arg); /* false after UNIT_PATIENCE_MS */
bool unit_wait_readable(sockbroker_socket sock);
bool unit_is_readable(sockbroker_socket sock);                       /* now */
int unit_poll(sockbroker_socket sock, short events, int timeout_ms); /* revents; 0 on timeout */
void unit_pause(void);                                               /* half a millisecond, or what the system makes of it */

/* ---- a folder of its own, below /tmp; on Windows a name of its own, for pipes ---- */

const char *unit_folder(void);           /* POSIX alone; made at the first call of a test */
void unit_folder_remove(void);           /* and all that is in it */
const char *unit_path(const char *name); /* in it; good until the fourth call after */

/* ---- sockets: blocking, and no child gets them ---- */

sockbroker_socket unit_socket(int family, int type);                                 /* must succeed */
sockbroker_socket unit_accept(sockbroker_socket listener);                           /* NONE when it fails */
int unit_option(sockbroker_socket sock, int level, int name);                        /* -1 when it fails */
size_t unit_address(const char *ip, uint16_t port, struct sockaddr_storage *sa_out); /* its length */

bool unit_is_open(sockbroker_socket sock);

struct unit_tcp {
    sockbroker_socket listener, client, server;
};

/* ip: "127.0.0.1", "::1", or "::ffff:127.0.0.1" for an IPv4 client of a dual-stack listener. */
void unit_tcp_open(struct unit_tcp *t, const char *ip);
void unit_tcp_close(struct unit_tcp *t);
sockbroker_socket unit_tcp_listen(const char *ip, uint16_t *port_out);
sockbroker_socket unit_tcp_connect(const char *ip, uint16_t port);
bool unit_has_ipv6(void); /* else a test of IPv6 has nothing to run on */

/* ---- the environment of this process ---- */

void unit_set_env(const char *name, const char *value); /* NULL: takes it out */

/* ---- processes: POSIX alone, but for UNIT_REQUIRE ---- */

/* Runs it in a forked child that ends with 0 after it. Returns the wait status. */
int unit_in_child(void (*run)(void *), void *arg);
#define assert_child_succeeds(run, arg) assert_int_equal(unit_in_child(run, arg), 0)

#define UNIT_REQUIRE(truth) unit_require((truth), #truth, __FILE__, __LINE__)
void unit_require(bool truth, const char *what, const char *file, int line);

/* Gives the calling child a network of its own with `lo` up. False when it may not. */
bool unit_own_network(void);
bool unit_write_file(const char *path, const char *text);

#endif
