#include "tests/integration/udp_endpoints_kit.h"

/* Wine does not send from the address that it is told: another one of the loopback network would answer as 127.0.0.1. */
const char *const udp_hosts[] = { "127.0.0.1", "::1" };
const unsigned udp_window = KIT_UDP_WINDOW, udp_many = 1000;
const unsigned udp_n_hosts = sizeof(udp_hosts) / sizeof(udp_hosts[0]);
