/// The folder is read once, when recording begins: the names that are found are few, and each actor
/// looks for its own among them.
#include "core/trace/earlier.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <troupe/error.h>
#include <unistd.h>

#include "core/support/array.h"

static const char *after_name(const char *file);

int trp_earlier_read(trp_earlier_t *earlier, int directory) {
  int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *files = fd < 0 ? NULL : fdopendir(fd);
  if (files == NULL) {
    int error = -errno;
    if (fd >= 0) {
      close(fd);
    }
    return error;
  }
  int error = 0;
  const struct dirent *file;
  while (error == 0 && (file = readdir(files)) != NULL) {
    if (after_name(file->d_name) == NULL) {
      continue;
    }
    char **parts = trp_array_room(earlier->parts, &earlier->capacity, earlier->count,
                                  sizeof *parts);
    char *name = strdup(file->d_name);
    earlier->parts = parts != NULL ? parts : earlier->parts;
    if (parts == NULL || name == NULL) {
      free(name);
      error = TROUPE_ENOMEM;
      break;
    }
    earlier->parts[earlier->count++] = name;
  }
  closedir(files);
  return error;
}

void trp_earlier_remove(trp_earlier_t *earlier, int directory, const char *name) {
  size_t length = strlen(name);
  for (size_t i = 0; i < earlier->count;) {
    char *part = earlier->parts[i];
    if (strncmp(part, name, length) != 0 || after_name(part) != part + length) {
      i++;
      continue;
    }
    (void)unlinkat(directory, part, 0); // whoever took it away wanted it gone, too
    free(part);
    earlier->parts[i] = earlier->parts[--earlier->count];
  }
}

void trp_earlier_free(trp_earlier_t *earlier) {
  while (earlier->count > 0) {
    free(earlier->parts[--earlier->count]);
  }
  free(earlier->parts);
  *earlier = (trp_earlier_t){0};
}

/// Where ".partN.trace" begins, the last one: an actor's name may have one, too. NULL: the file is no
/// part.
static const char *after_name(const char *file) {
  static const char part[] = ".part";
  const char *found = NULL;
  for (const char *at = file; (at = strstr(at, part)) != NULL; at++) {
    found = at;
  }
  if (found == NULL || !isdigit((unsigned char)found[strlen(part)])) {
    return NULL;
  }
  const char *end = found + strlen(part);
  while (isdigit((unsigned char)*end)) {
    end++;
  }
  return strcmp(end, ".trace") == 0 ? found : NULL;
}
