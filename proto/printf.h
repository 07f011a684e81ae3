/* printf.h: lets the compiler compare arguments with their format, where it can. */
#ifndef SB_PROTO_PRINTF_H
#define SB_PROTO_PRINTF_H

#include <stdio.h>

/* After the declaration of a function: the format is its argument number `format`, what it prints begins at `first`.
 * MinGW has two families of printf; stdio.h tells which one we get. */
#if defined(__MINGW_PRINTF_FORMAT)
#define SB_PRINTF(format_, first) __attribute__((format(__MINGW_PRINTF_FORMAT, format_, first)))
#elif defined(__GNUC__)
#define SB_PRINTF(format_, first) __attribute__((format(printf, format_, first)))
#else
#define SB_PRINTF(format_, first)
#endif

#endif
