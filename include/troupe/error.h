/// Errors: every function that can fail returns 0 or more, or one of these negative values.
///
/// Those of the operating system have the negative of Linux's errno (as in Node), the look-up's
/// have libuv's numbers, and those that Node names ERR_… and troupe's own have numbers below -4000.
/// No number is ever used again for something else.
#ifndef TROUPE_ERROR_H_INCLUDED
#define TROUPE_ERROR_H_INCLUDED

#include <troupe/export.h>

TROUPE_BEGIN

/// X(symbol, value, name, message): `name` is Node's code (or errno's name), `message` says it in
/// words.
#define TROUPE_ERRORS(X)                                                                           \
  X(EPERM, -1, "EPERM", "operation not permitted")                                                 \
  X(ENOENT, -2, "ENOENT", "no such file or directory")                                             \
  X(EINTR, -4, "EINTR", "interrupted system call")                                                 \
  X(EIO, -5, "EIO", "i/o error")                                                                   \
  X(ENXIO, -6, "ENXIO", "no such device or address")                                               \
  X(EBADF, -9, "EBADF", "bad file descriptor")                                                     \
  X(EAGAIN, -11, "EAGAIN", "resource temporarily unavailable")                                     \
  X(ENOMEM, -12, "ENOMEM", "not enough memory")                                                    \
  X(EACCES, -13, "EACCES", "permission denied")                                                    \
  X(EFAULT, -14, "EFAULT", "bad address in system call argument")                                  \
  X(EBUSY, -16, "EBUSY", "resource busy or locked")                                                \
  X(EEXIST, -17, "EEXIST", "file already exists")                                                  \
  X(ENODEV, -19, "ENODEV", "no such device")                                                       \
  X(ENOTDIR, -20, "ENOTDIR", "not a directory")                                                    \
  X(EISDIR, -21, "EISDIR", "illegal operation on a directory")                                     \
  X(EINVAL, -22, "EINVAL", "invalid argument")                                                     \
  X(ENFILE, -23, "ENFILE", "file table overflow")                                                  \
  X(EMFILE, -24, "EMFILE", "too many open files")                                                  \
  X(ENOTTY, -25, "ENOTTY", "inappropriate ioctl for device")                                       \
  X(EFBIG, -27, "EFBIG", "file too large")                                                         \
  X(ENOSPC, -28, "ENOSPC", "no space left on device")                                              \
  X(ESPIPE, -29, "ESPIPE", "invalid seek")                                                         \
  X(EROFS, -30, "EROFS", "read-only file system")                                                  \
  X(EPIPE, -32, "EPIPE", "broken pipe")                                                            \
  X(ERANGE, -34, "ERANGE", "result too large")                                                     \
  X(ENAMETOOLONG, -36, "ENAMETOOLONG", "name too long")                                            \
  X(ENOSYS, -38, "ENOSYS", "function not implemented")                                             \
  X(ELOOP, -40, "ELOOP", "too many symbolic links encountered")                                    \
  X(EPROTO, -71, "EPROTO", "protocol error")                                                       \
  X(EOVERFLOW, -75, "EOVERFLOW", "value too large for defined data type")                          \
  X(ENOTSOCK, -88, "ENOTSOCK", "socket operation on non-socket")                                   \
  X(EDESTADDRREQ, -89, "EDESTADDRREQ", "destination address required")                             \
  X(EPROTOTYPE, -91, "EPROTOTYPE", "protocol wrong type for socket")                               \
  X(ENOPROTOOPT, -92, "ENOPROTOOPT", "protocol not available")                                     \
  X(EPROTONOSUPPORT, -93, "EPROTONOSUPPORT", "protocol not supported")                             \
  X(ESOCKTNOSUPPORT, -94, "ESOCKTNOSUPPORT", "socket type not supported")                          \
  X(ENOTSUP, -95, "ENOTSUP", "operation not supported on socket")                                  \
  X(EAFNOSUPPORT, -97, "EAFNOSUPPORT", "address family not supported")                             \
  X(EADDRINUSE, -98, "EADDRINUSE", "address already in use")                                       \
  X(EADDRNOTAVAIL, -99, "EADDRNOTAVAIL", "address not available")                                  \
  X(ENETDOWN, -100, "ENETDOWN", "network is down")                                                 \
  X(ENETUNREACH, -101, "ENETUNREACH", "network is unreachable")                                    \
  X(ECONNABORTED, -103, "ECONNABORTED", "software caused connection abort")                        \
  X(ECONNRESET, -104, "ECONNRESET", "connection reset by peer")                                    \
  X(ENOBUFS, -105, "ENOBUFS", "no buffer space available")                                         \
  X(EISCONN, -106, "EISCONN", "socket is already connected")                                       \
  X(ENOTCONN, -107, "ENOTCONN", "socket is not connected")                                         \
  X(ESHUTDOWN, -108, "ESHUTDOWN", "cannot send after transport endpoint shutdown")                 \
  X(ETIMEDOUT, -110, "ETIMEDOUT", "connection timed out")                                          \
  X(ECONNREFUSED, -111, "ECONNREFUSED", "connection refused")                                      \
  X(EHOSTDOWN, -112, "EHOSTDOWN", "host is down")                                                  \
  X(EHOSTUNREACH, -113, "EHOSTUNREACH", "host is unreachable")                                     \
  X(EALREADY, -114, "EALREADY", "connection already in progress")                                  \
  X(EINPROGRESS, -115, "EINPROGRESS", "operation in progress")                                     \
  X(ECANCELED, -125, "ECANCELED", "operation canceled")                                            \
  X(EAI_ADDRFAMILY, -3000, "EAI_ADDRFAMILY", "address family not supported")                       \
  X(EAI_AGAIN, -3001, "EAI_AGAIN", "temporary failure")                                            \
  X(EAI_BADFLAGS, -3002, "EAI_BADFLAGS", "bad ai_flags value")                                     \
  X(EAI_FAIL, -3004, "EAI_FAIL", "permanent failure")                                              \
  X(EAI_FAMILY, -3005, "EAI_FAMILY", "ai_family not supported")                                    \
  X(EAI_MEMORY, -3006, "EAI_MEMORY", "out of memory")                                              \
  X(EAI_NODATA, -3007, "EAI_NODATA", "no address")                                                 \
  X(ENOTFOUND, -3008, "ENOTFOUND", "unknown node or service")                                      \
  X(EAI_OVERFLOW, -3009, "EAI_OVERFLOW", "argument buffer overflow")                               \
  X(EAI_SERVICE, -3010, "EAI_SERVICE", "service not available for socket type")                    \
  X(EAI_SOCKTYPE, -3011, "EAI_SOCKTYPE", "socket type not supported")                              \
  X(EOF, -4095, "EOF", "end of file")                                                              \
  X(ERR_MISSING_ARGS, -4200, "ERR_MISSING_ARGS",                                                   \
    "The \"options\" or \"port\" or \"path\" argument must be specified")                          \
  X(ERR_INVALID_ARG_TYPE, -4201, "ERR_INVALID_ARG_TYPE", "an argument has the wrong type")         \
  X(ERR_INVALID_ARG_VALUE, -4202, "ERR_INVALID_ARG_VALUE", "an argument has an invalid value")     \
  X(ERR_OUT_OF_RANGE, -4203, "ERR_OUT_OF_RANGE", "an argument is out of range")                    \
  X(ERR_SOCKET_BAD_PORT, -4204, "ERR_SOCKET_BAD_PORT", "Port should be >= 0 and < 65536.")         \
  X(ERR_INVALID_IP_ADDRESS, -4205, "ERR_INVALID_IP_ADDRESS", "Invalid IP address")                 \
  X(ERR_INVALID_ADDRESS, -4206, "ERR_INVALID_ADDRESS", "Invalid socket address")                   \
  X(ERR_INVALID_ADDRESS_FAMILY, -4207, "ERR_INVALID_ADDRESS_FAMILY", "Invalid address family")     \
  X(ERR_INVALID_FD_TYPE, -4208, "ERR_INVALID_FD_TYPE", "Unsupported fd type")                      \
  X(ERR_INVALID_HANDLE_TYPE, -4209, "ERR_INVALID_HANDLE_TYPE", "This handle type cannot be sent")  \
  X(ERR_SERVER_ALREADY_LISTEN, -4210, "ERR_SERVER_ALREADY_LISTEN",                                 \
    "Listen method has been called more than once without closing.")                               \
  X(ERR_SERVER_NOT_RUNNING, -4211, "ERR_SERVER_NOT_RUNNING", "Server is not running.")             \
  X(ERR_SOCKET_CLOSED, -4212, "ERR_SOCKET_CLOSED", "Socket is closed")                             \
  X(ERR_SOCKET_CLOSED_BEFORE_CONNECTION, -4213, "ERR_SOCKET_CLOSED_BEFORE_CONNECTION",             \
    "Socket closed before the connection was established")                                         \
  X(ERR_SOCKET_CONNECTION_TIMEOUT, -4214, "ERR_SOCKET_CONNECTION_TIMEOUT",                         \
    "Socket connection timeout")                                                                   \
  X(ERR_STREAM_WRITE_AFTER_END, -4215, "ERR_STREAM_WRITE_AFTER_END", "write after end")            \
  X(ERR_STREAM_ALREADY_FINISHED, -4216, "ERR_STREAM_ALREADY_FINISHED",                             \
    "Cannot call end after a stream was finished")                                                 \
  X(ERR_STREAM_DESTROYED, -4217, "ERR_STREAM_DESTROYED",                                           \
    "Cannot call write after a stream was destroyed")                                              \
  X(ERR_STREAM_NULL_VALUES, -4218, "ERR_STREAM_NULL_VALUES",                                       \
    "May not write null values to stream")                                                         \
  X(ERR_UNKNOWN_ENCODING, -4219, "ERR_UNKNOWN_ENCODING", "Unknown encoding")                       \
  X(ABORT_ERR, -4220, "ABORT_ERR", "The operation was aborted")                                    \
  X(ESTALE, -4300, "TROUPE_ESTALE", "the handle is not open (any more) in this actor")             \
  X(EWRONGTHREAD, -4301, "TROUPE_EWRONGTHREAD",                                                    \
    "the call belongs into the thread of another actor")                                           \
  X(ESTOPPED, -4302, "TROUPE_ESTOPPED", "the system or the actor is stopping")                     \
  X(EGIVING, -4303, "TROUPE_EGIVING", "the socket is being given to another actor")                \
  X(ENOACTOR, -4304, "TROUPE_ENOACTOR", "there is no such actor")                                  \
  X(EBADTRACE, -4305, "TROUPE_EBADTRACE", "this is not a trace, or it is damaged")                 \
  X(ETRACEVERSION, -4306, "TROUPE_ETRACEVERSION", "the trace has a newer format")                  \
  X(EINCOMPLETE, -4307, "TROUPE_EINCOMPLETE", "the trace does not hold all that drove the actor")  \
  X(EDIFFERS, -4308, "TROUPE_EDIFFERS", "the replay differs from the recording")                   \
  X(EBADMESSAGE, -4309, "TROUPE_EBADMESSAGE", "a message could not be understood")                 \
  X(ECONNECTDEADLINE, -4310, "TROUPE_ECONNECTDEADLINE", "not connected before the deadline")       \
  X(EFIRSTBYTEDEADLINE, -4311, "TROUPE_EFIRSTBYTEDEADLINE", "no byte came before the deadline")    \
  X(EWRITESTALLDEADLINE, -4312, "TROUPE_EWRITESTALLDEADLINE",                                      \
    "the peer took no byte before the deadline")                                                   \
  X(ERESTARTS, -4313, "TROUPE_ERESTARTS",                                                          \
    "children failed more often than their supervisor allows")                                     \
  X(EUNSOUND, -4330, "TROUPE_EUNSOUND", "the simulation found that something is wrong")

enum {
#define TROUPE_ERROR_ENUM(symbol, value, name, message) TROUPE_##symbol = value,
  TROUPE_ERRORS(TROUPE_ERROR_ENUM)
#undef TROUPE_ERROR_ENUM
};

/// What an error event says. Node: the Error object of 'error'.
///
/// Ownership: borrowed; valid until the callback that got it returns.
typedef struct troupe_error {
  int code;            ///< a TROUPE_E… value, negative. Node: error.errno where that is a number
  const char *name;    ///< its name. Node: error.code
  const char *syscall; ///< "connect", "read" …, or NULL. Node: error.syscall
  const char *address; ///< address, path or host name, or NULL. Node: error.address, error.hostname
  int port;            ///< 0 for none. Node: error.port
  const char *local_address;         ///< or NULL. Node: error.localAddress, and leaves it out if
                                     ///< connect() failed at once
  int local_port;                    ///< 0: the system had not picked one. It does once it knows
                                     ///< where to, so that many peers can share a port; Node has
                                     ///< it picked before. Node: error.localPort
  const char *message;               ///< Node: error.message
  const struct troupe_error *errors; ///< the parts of an aggregate. Node: AggregateError.errors
  size_t error_count;
} troupe_error_t;

/// Gives the name of an error value: "ECONNREFUSED", "ERR_SERVER_NOT_RUNNING". Node: error.code,
/// util.getSystemErrorName().
///
/// Thread:    any.
/// Blocks:    never.
/// Returns:   a string that is never freed; "OK" for 0, "EUNKNOWN" for a value that is not one of
///            ours.
TROUPE_API const char *troupe_error_name(int code);

/// Says an error value in words: "connection refused".
///
/// Thread:    any.
/// Blocks:    never.
/// Returns:   a string that is never freed; "no error" for 0, "unknown error" for a value that is not
///            one of ours.
TROUPE_API const char *troupe_error_message(int code);

TROUPE_END

#endif
