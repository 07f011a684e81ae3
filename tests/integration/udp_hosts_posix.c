#include "tests/integration/udp_endpoints_kit.h"

const char *const udp_hosts[] = { "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4", "::1" };
const unsigned udp_window = KIT_UDP_WINDOW, udp_many = 10000;
const unsigned udp_n_hosts = sizeof(udp_hosts) / sizeof(udp_hosts[0]);
