// Inside of Node the executable's own uv_ functions win over any libuv that the addon could be
// linked with. The library was compiled with that Node's headers; here it is looked whether what
// was loaded is what was compiled for.
#include <dlfcn.h>
#include <stdio.h>

#include "binding.h"

#define USED(X)                                                                                    \
  X(uv_async_init)                                                                                 \
  X(uv_async_send)                                                                                 \
  X(uv_backend_timeout)                                                                            \
  X(uv_check_init)                                                                                 \
  X(uv_check_start)                                                                                \
  X(uv_close)                                                                                      \
  X(uv_handle_size)                                                                                \
  X(uv_hrtime)                                                                                     \
  X(uv_idle_init)                                                                                  \
  X(uv_idle_start)                                                                                 \
  X(uv_idle_stop)                                                                                  \
  X(uv_is_closing)                                                                                 \
  X(uv_loop_close)                                                                                 \
  X(uv_loop_init)                                                                                  \
  X(uv_loop_size)                                                                                  \
  X(uv_now)                                                                                        \
  X(uv_poll_init)                                                                                  \
  X(uv_poll_start)                                                                                 \
  X(uv_poll_stop)                                                                                  \
  X(uv_prepare_init)                                                                               \
  X(uv_prepare_start)                                                                              \
  X(uv_ref)                                                                                        \
  X(uv_run)                                                                                        \
  X(uv_stop)                                                                                       \
  X(uv_timer_init)                                                                                 \
  X(uv_timer_start)                                                                                \
  X(uv_timer_stop)                                                                                 \
  X(uv_unref)                                                                                      \
  X(uv_version)                                                                                    \
  X(uv_version_string)                                                                             \
  X(uv_walk)

#define SIZES(X)                                                                                   \
  X(UV_ASYNC, uv_async_t)                                                                          \
  X(UV_CHECK, uv_check_t)                                                                          \
  X(UV_IDLE, uv_idle_t)                                                                            \
  X(UV_POLL, uv_poll_t)                                                                            \
  X(UV_PREPARE, uv_prepare_t)                                                                      \
  X(UV_TIMER, uv_timer_t)

// Where a function was loaded from; NULL when that cannot be told.
static const void *home_of(void (*function)(void)) {
  union {
    void (*function)(void);
    const void *address;
  } as = {.function = function};
  Dl_info info;
  return dladdr(as.address, &info) == 0 ? NULL : info.dli_fbase;
}

const char *libuv_objection(void) {
  static _Thread_local char text[200];
  const struct {
    const char *name;
    void (*function)(void);
  } used[] = {
#define ROW(name) {#name, (void (*)(void))(name)},
      USED(ROW)
#undef ROW
  };
  const void *home = home_of(used[0].function);
  for (size_t i = 1; i < sizeof used / sizeof used[0]; i++) {
    if (home_of(used[i].function) != home) {
      snprintf(text, sizeof text, "%s and %s come from different libraries", used[0].name,
               used[i].name);
      return text;
    }
  }
  if (uv_version() < UV_VERSION_HEX) {
    snprintf(text, sizeof text, "libuv %s is older than %d.%d.%d, for which it was compiled",
             uv_version_string(), UV_VERSION_MAJOR, UV_VERSION_MINOR, UV_VERSION_PATCH);
    return text;
  }
  const struct {
    const char *name;
    size_t here, there;
  } sizes[] = {
#define ROW(kind, type) {#type, sizeof(type), uv_handle_size(kind)},
      SIZES(ROW)
#undef ROW
          {"uv_loop_t", sizeof(uv_loop_t), uv_loop_size()},
  };
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    if (sizes[i].here != sizes[i].there) {
      snprintf(text, sizeof text, "%s has %zu bytes in libuv %s, and %zu in its headers",
               sizes[i].name, sizes[i].there, uv_version_string(), sizes[i].here);
      return text;
    }
  }
  return NULL;
}
