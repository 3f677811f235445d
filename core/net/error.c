/// Names and words of error values: <troupe/error.h>.
#include <troupe/error.h>

const char *troupe_error_name(int code) {
  switch (code) {
  case 0:
    return "OK";
#define NAME(symbol, value, name, message)                                                         \
  case value:                                                                                      \
    return name;
    TROUPE_ERRORS(NAME)
#undef NAME
  default:
    return "EUNKNOWN";
  }
}

const char *troupe_error_message(int code) {
  switch (code) {
  case 0:
    return "no error";
#define MESSAGE(symbol, value, name, message)                                                      \
  case value:                                                                                      \
    return message;
    TROUPE_ERRORS(MESSAGE)
#undef MESSAGE
  default:
    return "unknown error";
  }
}
