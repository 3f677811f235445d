/// What every public header starts with.
#ifndef TROUPE_EXPORT_H_INCLUDED
#define TROUPE_EXPORT_H_INCLUDED

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__) || defined(__clang__)
#define TROUPE_API __attribute__((visibility("default")))
#define TROUPE_PRINTF(format_index, first_index)                                                   \
  __attribute__((format(printf, format_index, first_index)))
#else
#define TROUPE_API
#define TROUPE_PRINTF(format_index, first_index)
#endif

#ifdef __cplusplus
#define TROUPE_BEGIN extern "C" {
#define TROUPE_END }
#else
#define TROUPE_BEGIN
#define TROUPE_END
#endif

#define TROUPE_VERSION_MAJOR 0
#define TROUPE_VERSION_MINOR 1
#define TROUPE_VERSION_PATCH 0
#define TROUPE_VERSION "0.1.0"

#endif
