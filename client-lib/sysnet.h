/* sysnet.h: struct sockaddr and its kin. Their names and fields are the same everywhere, only the headers that
 * declare them differ; so this is an #ifdef around includes and not a pair of files. */
#ifndef SB_CLIENT_LIB_SYSNET_H
#define SB_CLIENT_LIB_SYSNET_H

#ifdef _WIN32
#include <winsock2.h>
#include <ws2tcpip.h>
#else
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#endif

#endif
