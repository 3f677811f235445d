#include "tools/trace/source.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int add_path(void *context, const char *path);
static int each_in_folder(const char *path, bool all, int (*take)(void *context, const char *path),
                          void *context);
static void read_next(source_t *source, input_t *input);
static bool passes(source_t *source, const troupe_trace_entry_t *entry);

bool filter_option(filter_t *filter, int option, const char *value) {
  switch (option) {
  case FILTER_ACTOR:
    if (filter->actor_count == FILTER_MAX) {
      usage_error("more than %d times --actor", FILTER_MAX);
    }
    filter->actors[filter->actor_count++] = value;
    break;
  case FILTER_CONNECTION:
    if (filter->connection_count == FILTER_MAX) {
      usage_error("more than %d times --connection", FILTER_MAX);
    }
    filter->connection_texts[filter->connection_count] = value;
    if (troupe_id_parse(value, &filter->connections[filter->connection_count++]) != 0) {
      usage_error("--connection needs an id as `dump` shows it, such as 1/3, not '%s'", value);
    }
    break;
  case FILTER_KIND:
    if (filter->kind_count == FILTER_MAX) {
      usage_error("more than %d times --kind", FILTER_MAX);
    }
    if (!troupe_trace_kind_exists(value)) {
      usage_error("--kind needs a kind as `dump` and `stat` show it, such as data, not '%s'",
                  value);
    }
    filter->kinds[filter->kind_count++] = value;
    break;
  case FILTER_FROM:
    filter->has_from = true;
    filter->from = seconds_option("--from", value);
    break;
  case FILTER_TO:
    filter->has_to = true;
    filter->to = seconds_option("--to", value);
    break;
  default:
    return false;
  }
  if (filter->has_from && filter->has_to && filter->from > filter->to) {
    usage_error("--from %g is behind --to %g", filter->from, filter->to);
  }
  return true;
}

static int open_input(input_t *input) {
  int error = troupe_trace_open(input->path, &input->trace);
  if (error != 0) {
    complain("%s: %s", input->path, troupe_error_message(error));
    return end_of_error(error);
  }
  troupe_trace_info(input->trace, &input->info);
  return END_FINE;
}

static void read_first(source_t *source) {
  for (int i = 0; i < source->count; i++) {
    source->all_bytes += source->inputs[i].info.size_bytes;
    read_next(source, &source->inputs[i]);
  }
}

int source_open(source_t *source, char **paths, int count, const filter_t *filter,
                const char *what) {
  *source = (source_t){.filter = *filter};
  if (count == 0) {
    usage_error("%s needs a trace, or a folder with traces", what);
  }
  int code = each_path(paths, count, false, add_path, source);
  if (code != END_FINE) {
    source_close(source);
    return code;
  }
  progress_begin(&source->progress, what);
  read_first(source);
  return END_FINE;
}

int source_rewind(source_t *source) {
  progress_begin(&source->progress, source->progress.what);
  source->begun = false;
  source->given = NULL;
  source->all_bytes = 0;
  for (int i = 0; i < source->count; i++) {
    input_t *input = &source->inputs[i];
    troupe_trace_free(&input->trace);
    int code = open_input(input);
    if (code != END_FINE) {
      return code;
    }
  }
  read_first(source);
  return END_FINE;
}

void source_close(source_t *source) {
  progress_end(&source->progress);
  for (int i = 0; i < source->count; i++) {
    troupe_trace_free(&source->inputs[i].trace);
    free(source->inputs[i].path);
  }
  free(source->inputs);
  source->inputs = NULL;
  source->count = 0;
}

static int add_path(void *context, const char *path) {
  source_t *source = context;
  input_t *grown = realloc(source->inputs, (size_t)(source->count + 1) * sizeof *grown);
  char *copy = strdup(path);
  source->inputs = grown == NULL ? source->inputs : grown;
  if (grown == NULL || copy == NULL) {
    free(copy);
    complain("%s", troupe_error_message(TROUPE_ENOMEM));
    return END_FAILED;
  }
  input_t *input = &source->inputs[source->count];
  *input = (input_t){.path = copy};
  source->count++;
  return open_input(input);
}

static int each_in_folder(const char *path, bool all, int (*take)(void *context, const char *path),
                          void *context) {
  struct dirent **names = NULL;
  int count = scandir(path, &names, NULL, alphasort);
  int worst = END_FINE;
  int found = 0;
  for (int i = 0; i < count; i++) {
    const char *name = names[i]->d_name;
    size_t length = strlen(name);
    if (length > 6 && strcmp(name + length - 6, ".trace") == 0 && (all || worst == END_FINE)) {
      size_t size = strlen(path) + 1 + length + 1;
      char *whole = malloc(size);
      int code = END_FAILED;
      if (whole != NULL) {
        snprintf(whole, size, "%s/%s", path, name);
        code = take(context, whole);
        free(whole);
      }
      worst = code > worst ? code : worst;
      found++;
    }
    free(names[i]);
  }
  free(names);
  if (found == 0) {
    complain("%s: there is no *.trace in this folder", path);
    return END_FILE;
  }
  return worst;
}

int each_path(char **paths, int count, bool all, int (*take)(void *context, const char *path),
              void *context) {
  int worst = END_FINE;
  for (int i = 0; i < count && (all || worst == END_FINE); i++) {
    struct stat status;
    int code = stat(paths[i], &status) == 0 && S_ISDIR(status.st_mode)
                   ? each_in_folder(paths[i], all, take, context)
                   : take(context, paths[i]);
    worst = code > worst ? code : worst;
  }
  return worst;
}

static void read_next(source_t *source, input_t *input) {
  int result = troupe_trace_next(input->trace, &input->entry);
  input->has_entry = result == 1;
  if (result == 1 || result == 0) {
    return;
  }
  progress_end(&source->progress);
  if (result == TROUPE_EOF) {
    if (!input->told) {
      complain("%s: cut off in the middle of a record at byte %llu; what came before is whole",
               input->path, (unsigned long long)input->entry.position);
      input->told = true;
    }
    return;
  }
  complain("%s: damaged at byte %llu: %s; nothing behind it is read", input->path,
           (unsigned long long)input->entry.position, troupe_error_message(result));
  source->code = END_FILE;
}

const troupe_trace_entry_t *source_next(source_t *source) {
  for (;;) {
    if (source->given != NULL) {
      read_next(source, source->given);
      source->given = NULL;
    }
    input_t *earliest = NULL;
    uint64_t done = 0;
    for (int i = 0; i < source->count; i++) {
      input_t *input = &source->inputs[i];
      if (input->has_entry &&
          (earliest == NULL || input->entry.clock_ns < earliest->entry.clock_ns)) {
        earliest = input;
      }
      done += input->has_entry ? input->entry.position : input->info.size_bytes;
    }
    if (earliest == NULL) {
      progress_end(&source->progress);
      return NULL;
    }
    progress_tell(&source->progress, done, source->all_bytes);
    source->given = earliest;
    if (!source->begun) {
      source->begun = true;
      source->first_ns = earliest->entry.clock_ns;
    }
    if (passes(source, &earliest->entry)) {
      return &earliest->entry;
    }
  }
}

void source_each(source_t *source,
                 bool (*take)(void *context, const source_t *source,
                              const troupe_trace_entry_t *entry),
                 void *context) {
  const troupe_trace_entry_t *entry = NULL;
  while ((entry = source_next(source)) != NULL) {
    if (!take(context, source, entry)) {
      complain("%s", troupe_error_message(TROUPE_ENOMEM));
      source->code = END_FAILED;
      return;
    }
  }
}

double source_seconds(const source_t *source, const troupe_trace_entry_t *entry) {
  // The clock of a file may say anything.
  return (double)(int64_t)((uint64_t)entry->clock_ns - (uint64_t)source->first_ns) / 1e9;
}

static bool is_actor(const char *name, unsigned index, const char *wanted) {
  size_t length = strlen(name);
  if (strncmp(name, wanted, length) != 0) {
    return false;
  }
  if (wanted[length] == '\0') {
    return true;
  }
  char *end = NULL;
  return wanted[length] == '-' && wanted[length + 1] != '\0' &&
         strtoul(wanted + length + 1, &end, 10) == index && *end == '\0';
}

void source_check_actors(const source_t *source) {
  for (int i = 0; i < source->filter.actor_count; i++) {
    const char *wanted = source->filter.actors[i];
    bool found = false;
    for (int k = 0; k < source->count && !found; k++) {
      const troupe_trace_info_t *info = &source->inputs[k].info;
      found = info->flight || is_actor(info->name, info->index, wanted);
    }
    if (!found) {
      usage_error("--actor: there is no actor '%s' in what is given", wanted);
    }
  }
}

void source_check_connections(const filter_t *filter) {
  for (int i = 0; i < filter->connection_count; i++) {
    if (!filter->connections_seen[i]) {
      usage_error("--connection: there is no connection %s in what is given",
                  filter->connection_texts[i]);
    }
  }
}

static bool passes(source_t *source, const troupe_trace_entry_t *entry) {
  filter_t *filter = &source->filter;
  bool connection = filter->connection_count == 0;
  for (int i = 0; i < filter->connection_count && entry->connection != 0; i++) {
    if (troupe_id_matches(entry->connection, filter->connections[i])) {
      connection = filter->connections_seen[i] = true;
    }
  }
  double seconds = source_seconds(source, entry);
  if ((filter->has_from && seconds < filter->from) || (filter->has_to && seconds > filter->to)) {
    return false;
  }
  bool actor = filter->actor_count == 0;
  for (int i = 0; i < filter->actor_count && !actor; i++) {
    actor = is_actor(entry->name, entry->index, filter->actors[i]);
  }
  bool kind = filter->kind_count == 0;
  for (int i = 0; i < filter->kind_count && !kind; i++) {
    kind = strcmp(entry->kind, filter->kinds[i]) == 0 ||
           (entry->type == TROUPE_ENTRY_CALL && strcmp(filter->kinds[i], "call") == 0);
  }
  return actor && connection && kind;
}
