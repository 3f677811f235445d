// Peers: processes that play a script, each with a thread that reads what they tell; and the
// descriptors that the launcher made.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/node/play/stage.h"

// A line goes to the actor as a message: the object's number, then the text.
static void *read_lines(void *context) {
  const peer_t *peer = context;
  FILE *from = fdopen(peer->from, "r");
  char message[512];
  message[0] = (char)peer->index;
  while (from != NULL && fgets(message + 1, sizeof message - 1, from) != NULL) {
    size_t length = strcspn(message + 1, "\n");
    (void)troupe_post(peer->stage->system, peer->stage->actor, message, 1 + length);
  }
  (void)troupe_post(peer->stage->system, peer->stage->actor, message, 1); // it is over
  if (from != NULL) {
    (void)fclose(from);
  }
  return NULL;
}

static void on_message(troupe_actor_t from, const troupe_chunk_t *message, void *context) {
  (void)from;
  stage_t *stage = context;
  const char *bytes = troupe_chunk_bytes(message);
  int length = (int)troupe_chunk_length(message) - 1;
  object_t *object = &stage->objects[(unsigned char)bytes[0]];
  if (length == 0) {
    tell(object, "exit", "exit");
    stage->peers--;
    if (stage->peers == 0) {
      (void)troupe_actor_on_message(NULL, NULL); // else the actor would wait for more
    }
    return;
  }
  const char *line = need_text("%.*s", length, bytes + 1);
  int port;
  if (sscanf(line, "port %d", &port) == 1) {
    if (strcmp(port_text(stage, port), "<?>") == 0) {
      stage_name_port(stage, port, object->name);
    }
    return;
  }
  char event[32];
  (void)snprintf(event, sizeof event, "%.*s", (int)strcspn(line, " "), line);
  tell(object, event, "%s", plain_text(stage, line));
}

static const char *script(const stage_t *stage, const action_t *action) {
  const char *text = "";
  for (size_t i = 2; i < action->count; i++) {
    const char *word = action->words[i];
    size_t length = strcspn(word, ";");
    const char *end = word + length;
    if (word[0] == '@' && strncmp(word, "@tmp", 4) != 0) {
      word = need_text("%d", stage_port(stage, need_text("%.*s", (int)length, word)));
    } else {
      size_t ignored;
      word = path_text(stage, need_text("%.*s", (int)length, word), &ignored);
    }
    text = need_text("%s%s%s%s", text, i > 2 ? " " : "", word, end);
  }
  return text;
}

static void start(stage_t *stage, const action_t *action) {
  object_t *object = stage_add(stage, action->words[1]);
  stage->peers++;
  (void)troupe_actor_on_message(on_message, stage);
  if (stage->recorded != NULL) {
    return; // what it told is in the trace
  }
  peer_t *peer = need(sizeof *peer);
  int to[2];
  int from[2];
  posix_spawn_file_actions_t actions;
  char *arguments[] = {need_text("%s", stage->peer_program), need_text("%s", script(stage, action)),
                       NULL};
  if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0 ||
      posix_spawn_file_actions_init(&actions) != 0 ||
      posix_spawn_file_actions_adddup2(&actions, to[0], 0) != 0 ||
      posix_spawn_file_actions_adddup2(&actions, from[1], 1) != 0 ||
      posix_spawn(&peer->pid, stage->peer_program, &actions, NULL, arguments, environ) != 0) {
    fprintf(stderr, "play: the peer did not start\n");
    exit(2);
  }
  (void)posix_spawn_file_actions_destroy(&actions);
  (void)close(to[0]);
  (void)close(from[1]);
  peer->stage = stage;
  peer->index = (uint8_t)(object - stage->objects);
  peer->to = to[1];
  peer->from = from[0];
  object->peer = peer;
  if (pthread_create(&peer->reader, NULL, read_lines, peer) != 0) {
    fprintf(stderr, "play: no thread\n");
    exit(2);
  }
}

bool perform_peer(stage_t *stage, const action_t *action) {
  if (strcmp(action->words[0], "peer") == 0) {
    start(stage, action);
  } else if (strcmp(action->words[0], "go") == 0) {
    const peer_t *peer = stage_object(stage, action->words[1])->peer;
    ssize_t sent = peer != NULL ? write(peer->to, "\n", 1) : 0;
    (void)sent; // a peer that is gone needs no more
  } else {
    return false;
  }
  return true;
}

void peers_end(stage_t *stage) {
  for (size_t i = 0; i < stage->object_count; i++) {
    const peer_t *peer = stage->objects[i].peer;
    if (peer != NULL) {
      (void)kill(peer->pid, SIGKILL);
      (void)waitpid(peer->pid, NULL, 0);
      (void)pthread_join(peer->reader, NULL);
      (void)close(peer->to);
    }
  }
}

// ---- Descriptors ----

enum { MAX_DESCRIPTORS = 128 };

static struct {
  const char *kind;
  int fds[2];
  bool taken;
} descriptors[MAX_DESCRIPTORS];
static size_t descriptor_count;

void read_descriptors(void) {
  const char *given = getenv("TROUPE_PLAY_FDS");
  char *text = need_text("%s", given != NULL ? given : "");
  for (char *item = strsep(&text, " "); item != NULL; item = strsep(&text, " ")) {
    const char *kind = strsep(&item, ":");
    for (int i = 0; item != NULL && descriptor_count < MAX_DESCRIPTORS; i++) {
      int fd = atoi(strsep(&item, ":"));
      (void)fcntl(fd, F_SETFD, FD_CLOEXEC); // a peer that had it too would keep it open
      descriptors[descriptor_count].kind = kind;
      descriptors[descriptor_count].fds[i] = fd;
      if (item == NULL) {
        descriptor_count++;
      }
    }
  }
}

static int next_descriptor(const char *text) {
  static int other;
  size_t length = strcspn(text, ".");
  if (text[length] == '.') {
    return other;
  }
  if (strspn(text, "-0123456789") == length) {
    return atoi(text);
  }
  for (size_t i = 0; i < descriptor_count; i++) {
    if (!descriptors[i].taken && strcmp(descriptors[i].kind, text) == 0) {
      descriptors[i].taken = true;
      other = descriptors[i].fds[1];
      return descriptors[i].fds[0];
    }
  }
  fprintf(stderr, "play: no %s is left\n", text);
  exit(2);
}

int take_descriptor(stage_t *stage, const char *text) {
  if (stage->fd_count == MAX_FDS) {
    fprintf(stderr, "play: %s: too many descriptors\n", stage->scenario->name);
    exit(2);
  }
  size_t index = stage->fd_count++;
  stage->fds[index] = stage->recorded != NULL ? stage->recorded->fds[index] : next_descriptor(text);
  return stage->fds[index];
}
