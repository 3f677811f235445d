# Turns the single measurements that bench/run has written into the tables that people read. Runs in any awk.

BEGIN {
  server_count = split("ref_uv troupe troupe2 recording aloft node cluster2 troupe_net go erlang", servers, " ")
  label["troupe"] = "troupe, 1 actor"
  label["troupe2"] = "troupe, 2 actors"
  label["recording"] = "troupe, recording"
  label["aloft"] = "troupe, flight recorder"
  label["ref_uv"] = "libuv (reference)"
  label["node"] = "Node.js"
  label["cluster2"] = "Node.js, cluster of 2"
  label["troupe_net"] = "Node.js, troupe-net"
  label["go"] = "Go"
  label["erlang"] = "Erlang"
}

$1 == "#" {
  key = $2
  if (key == "cell") {
    name = $3
    if (!(name in title)) {
      cells[++cell_count] = name
      title[name] = rest_from(4)
    }
  } else if (key == "missing") {
    missing[++missing_count] = $3 " " rest_from(4)
  } else {
    about[key] = rest_from(3)
  }
  next
}

$1 == "failed" {
  read_fields(2, 4)
  failure[f["placement"], f["cell"], f["server"]] = rest_from(5)
  note_placement(f["placement"])
  next
}

{
  read_fields(1, NF)
  note_placement(f["placement"])
  at = f["placement"] SUBSEP f["cell"] SUBSEP f["server"]
  round = ++rounds[at]
  number_of_round = f["round"] + 0
  if (f["cell"] == "idle") {
    value["bytes", at, number_of_round] = (f["after_kib"] - f["before_kib"]) * 1024 / f["connections"]
    idle_connections = f["connections"]
  } else {
    value["rate", at, number_of_round] = f["rate"] + 0
    value["p50", at, number_of_round] = f["p50_us"] + 0
    value["p99", at, number_of_round] = f["p99_us"] + 0
    value["busy", at, number_of_round] = 100 * f["generator_cpu_s"] / f["seconds"]
    cpu[at] += f["server_cpu_s"]
    messages[at] += f["messages"]
    unanswered[at] += f["unanswered"]
  }
  if (number_of_round > last_round) {
    last_round = number_of_round
  }
}

END {
  print_head()
  for (p = 1; p <= placement_count; p++) {
    if (placements[p] == "memory") {
      print_memory()
    } else {
      print_rates(placements[p])
    }
  }
  print_goals()
}

# ---- reading

function rest_from(first,    i, text) {
  text = ""
  for (i = first; i <= NF; i++) {
    text = text (i > first ? " " : "") $i
  }
  return text
}

function read_fields(first, last,    i, split_at) {
  split("", f)
  for (i = first; i <= last; i++) {
    split_at = index($i, "=")
    f[substr($i, 1, split_at - 1)] = substr($i, split_at + 1)
  }
}

function note_placement(name) {
  if (!(name in seen_placement)) {
    seen_placement[name] = 1
    placements[++placement_count] = name
  }
}

# ---- statistics

# collect(WHAT, AT): puts the values of all rounds, sorted, into `sorted`; returns their count. With a second place the
# values are divided by those of the same round there, so a slow moment of the machine that hit both cancels out.
function collect(what, at, against,    round, count, i, one) {
  count = 0
  for (round = 1; round <= last_round; round++) {
    if (!((what, at, round) in value)) {
      continue
    }
    one = value[what, at, round]
    if (against != "") {
      if (!((what, against, round) in value) || value[what, against, round] <= 0) {
        continue
      }
      one /= value[what, against, round]
    }
    for (i = count; i > 0 && sorted[i] > one; i--) {
      sorted[i + 1] = sorted[i]
    }
    sorted[i + 1] = one
    count++
  }
  return count
}

function middle(count) {
  if (count == 0) {
    return 0
  }
  return count % 2 ? sorted[(count + 1) / 2] : (sorted[count / 2] + sorted[count / 2 + 1]) / 2
}

function median(what, at, against) {
  return middle(collect(what, at, against))
}

function cpu_per_million(at) {
  return messages[at] > 0 ? cpu[at] * 1000000 / messages[at] : 0
}

function place(placement, cell, server) {
  return placement SUBSEP cell SUBSEP server
}

# ---- tables

function start_table(heads,    i) {
  row_count = 1
  column_count = split(heads, head, "|")
  for (i = 1; i <= column_count; i++) {
    table[1, i] = head[i]
  }
}

function add_row(a, b, c, d, e, g, h, i, j, k) {
  row_count++
  table[row_count, 1] = a
  table[row_count, 2] = b
  table[row_count, 3] = c
  table[row_count, 4] = d
  table[row_count, 5] = e
  table[row_count, 6] = g
  table[row_count, 7] = h
  table[row_count, 8] = i
  table[row_count, 9] = j
  table[row_count, 10] = k
}

# The first `left` columns hold words, the others numbers.
function end_table(left,    row, i, width, line) {
  for (i = 1; i <= column_count; i++) {
    width[i] = 3
    for (row = 1; row <= row_count; row++) {
      if (length(table[row, i]) > width[i]) {
        width[i] = length(table[row, i])
      }
    }
  }
  for (row = 1; row <= row_count; row++) {
    line = "|"
    for (i = 1; i <= column_count; i++) {
      line = line " " sprintf("%" (i <= left ? "-" : "") width[i] "s", table[row, i]) " |"
    }
    print line
    if (row == 1) {
      line = "|"
      for (i = 1; i <= column_count; i++) {
        line = line (i <= left ? " " dashes(width[i]) : " " dashes(width[i] - 1) ":") " |"
      }
      print line
    }
  }
  print ""
}

function dashes(count,    text) {
  for (text = ""; length(text) < count; ) {
    text = text "-"
  }
  return text
}

function show_rate(rate) {
  return rate < 100 ? sprintf("%.1f", rate) : sprintf("%.0f", rate)
}

function show_time(us) {
  return us < 100 ? sprintf("%.1f", us) : sprintf("%.0f", us)
}

function print_head(    i, begin, end) {
  print "- " about["date"] ", commit " about["commit"]
  print "- " about["machine"] "; " about["system"]
  print "- " about["versions"]
  print "- " about["form"]
  split(about["steal_begin"], begin, " ")
  if (split(about["steal_end"], end, " ") == 2 && end[2] > begin[2]) {
    printf "- load of the machine before: %s; taken away by its host during the run: %.1f %%\n", about["load_begin"], \
      100 * (end[1] - begin[1]) / (end[2] - begin[2])
  }
  for (i = 1; i <= missing_count; i++) {
    print "- without " missing[i]
  }
  print ""
}

function print_rates(placement,    c, s, at, reference, first, count, range, ratio, ratio_range) {
  if (placement == "pinned") {
    print "### Pinned: the generator on one core, the server on another"
  } else {
    print "### Free: the generator on one core, the server where the kernel puts it"
  }
  print ""
  start_table("cell|server|per second|min - max|x ref|min - max|CPU s per million|p50 us|p99 us|generator busy")
  for (c = 1; c <= cell_count; c++) {
    if (cells[c] == "idle") {
      continue
    }
    first = title[cells[c]]
    reference = place(placement, cells[c], cells[c] ~ /^record/ ? "troupe" : "ref_uv")
    for (s = 1; s <= server_count; s++) {
      at = place(placement, cells[c], servers[s])
      if (at in failure) {
        add_row(first, label[servers[s]], "failed")
        notes[++note_count] = label[servers[s]] " failed at " title[cells[c]] ": " failure[at]
        first = ""
      } else if (at in rounds) {
        count = collect("rate", at, reference)
        ratio = count ? sprintf("%.2f", middle(count)) : ""
        ratio_range = count ? sprintf("%.2f - %.2f", sorted[1], sorted[count]) : ""
        count = collect("rate", at)
        range = show_rate(sorted[1]) " - " show_rate(sorted[count])
        add_row(first, label[servers[s]], show_rate(middle(count)), range, ratio, ratio_range, \
          sprintf("%.2f", cpu_per_million(at)), show_time(median("p50", at)), show_time(median("p99", at)), \
          sprintf("%.0f %%", median("busy", at)))
        if (unanswered[at] > 0) {
          table[row_count, 2] = table[row_count, 2] " (" unanswered[at] " unanswered)"
        }
        first = ""
      }
    }
  }
  end_table(2)
  print_notes()
}

function print_notes(    i) {
  for (i = 1; i <= note_count; i++) {
    print "- " notes[i]
  }
  if (note_count > 0) {
    print ""
  }
  note_count = 0
}

function print_memory(    s, at, count) {
  print "### Memory of an idle connection"
  print ""
  print "Growth of the server's PSS over " idle_connections " connections; each has echoed one message. Without the kernel's part."
  print ""
  start_table("server|bytes per connection|min - max")
  for (s = 1; s <= server_count; s++) {
    at = place("memory", "idle", servers[s])
    if (at in failure) {
      add_row(label[servers[s]], "failed")
      notes[++note_count] = label[servers[s]] " failed: " failure[at]
    } else if (at in rounds) {
      count = collect("bytes", at)
      add_row(label[servers[s]], sprintf("%.0f", middle(count)), sprintf("%.0f - %.0f", sorted[1], sorted[count]))
    }
  }
  end_table(1)
  print_notes()
}

# ---- goals

function print_goals() {
  if (!any_troupe("troupe") && !any_troupe("troupe_net")) {
    return
  }
  print "### Goals"
  print ""
  start_table("goal|where|measured|verdict")
  goals_of_echo()
  goals_of_others()
  goals_of_work()
  goals_of_record_and_idle()
  goals_of_binding()
  end_table(2)
}

function any_troupe(name,    at, part) {
  for (at in rounds) {
    split(at, part, SUBSEP)
    if (part[3] == name) {
      return 1
    }
  }
  return 0
}

function verdict(is_met) {
  return is_met ? "met" : "missed"
}

# The better of one and two actors, as somebody would choose who may choose.
function best_ratio(placement, cell, against,    one, two, reference) {
  reference = place(placement, cell, against)
  best_server = "troupe"
  one = median("rate", place(placement, cell, "troupe"), reference)
  two = median("rate", place(placement, cell, "troupe2"), reference)
  if (two > one) {
    best_server = "troupe2"
    return two
  }
  return one
}

function goals_of_echo(    p, c, ratio, lowest, worst) {
  for (p = 1; p <= placement_count; p++) {
    lowest = 0
    for (c = 1; c <= cell_count; c++) {
      if (cells[c] ~ /^(one|few|many|flight|4k|64k-8|64k-64|churn)$/) {
        ratio = median("rate", place(placements[p], cells[c], "troupe"), place(placements[p], cells[c], "ref_uv"))
        if (ratio > 0 && (lowest == 0 || ratio < lowest)) {
          lowest = ratio
          worst = cells[c]
        }
      }
    }
    if (lowest > 0) {
      add_row("echo, 1 actor: at least 0.8 x reference in every cell", placements[p] ", worst: " worst, sprintf("%.2f", lowest), \
        verdict(lowest >= 0.8))
    }
  }
}

function goals_of_others(    p, i, j, names, others, ratio) {
  split("few many", names, " ")
  split("node go erlang", others, " ")
  for (p = 1; p <= placement_count; p++) {
    for (i = 1; i <= 2; i++) {
      for (j = 1; j <= 3; j++) {
        ratio = best_ratio(placements[p], names[i], others[j])
        if (ratio > 0) {
          add_row("ahead of " label[others[j]], placements[p] ", " names[i] ", " label[best_server], sprintf("%.2f", ratio), \
            verdict(ratio > 1))
        }
      }
    }
  }
}

function goals_of_work(    i, names, count, ratio, one) {
  count = split("work-10 work-50 work-500", names, " ")
  for (i = 1; i <= count; i++) {
    ratio = best_ratio("free", names[i], "ref_uv")
    if (ratio > 0) {
      add_row("handlers of 10 us and more: at least 1.3 x reference", "free, " names[i] ", " label[best_server], \
        sprintf("%.2f", ratio), verdict(ratio >= 1.3))
    }
  }
  one = place("free", "work-500", "troupe")
  ratio = median("rate", place("free", "work-500", "troupe2"), one)
  if (ratio > 0) {
    add_row("2 actors at least 1.85 x 1 actor at 500 us", "free, work-500", sprintf("%.2f", ratio), verdict(ratio >= 1.85))
  }
  ratio = median("rate", place("free", "work-500", "troupe2"), place("free", "work-500", "cluster2"))
  if (ratio > 0) {
    add_row("2 actors beside Node's cluster of 2 workers at 500 us", "free, work-500", sprintf("%.2f", ratio), verdict(ratio >= 1))
  }
}

function goal_of_record(what, server, most, p, c,    with, without) {
  with = cpu_per_million(place(placements[p], cells[c], server))
  without = cpu_per_million(place(placements[p], cells[c], "troupe"))
  if (with > 0 && without > 0) {
    add_row(what " adds at most " most " % CPU per message", placements[p] ", " cells[c], \
      sprintf("%.0f %%", 100 * (with / without - 1)), verdict(with <= (1 + most / 100) * without))
  }
}

function goals_of_record_and_idle(    p, c, bytes) {
  for (p = 1; p <= placement_count; p++) {
    for (c = 1; c <= cell_count; c++) {
      if (cells[c] ~ /^record/) {
        goal_of_record("recording", "recording", 15, p, c)
        goal_of_record("the flight recorder", "aloft", 5, p, c)
      }
    }
  }
  if (("memory" SUBSEP "idle" SUBSEP "troupe") in rounds) {
    bytes = median("bytes", place("memory", "idle", "troupe"))
    add_row("at most 1 KiB of user memory per idle connection", "1 actor", sprintf("%.0f B", bytes), verdict(bytes <= 1024))
  }
}

# Echo in JavaScript: the same program over troupe-net and over Node's own net.
function goals_of_binding(    p, c, ratio, goal, bytes, own) {
  for (p = 1; p <= placement_count; p++) {
    for (c = 1; c <= cell_count; c++) {
      if (cells[c] ~ /^(one|few|many|64k-8|64k-64)$/) {
        goal = cells[c] == "one" ? 0.8 : 1
        ratio = median("rate", place(placements[p], cells[c], "troupe_net"), place(placements[p], cells[c], "node"))
        if (ratio > 0) {
          add_row("troupe-net: at least " goal " x Node's net", placements[p] ", " cells[c], sprintf("%.2f", ratio), \
            verdict(ratio >= goal))
        }
      }
    }
  }
  if (("memory" SUBSEP "idle" SUBSEP "troupe_net") in rounds && ("memory" SUBSEP "idle" SUBSEP "node") in rounds) {
    bytes = median("bytes", place("memory", "idle", "troupe_net"))
    own = median("bytes", place("memory", "idle", "node"))
    add_row("troupe-net: memory of an idle connection not above Node's", sprintf("Node: %.0f B", own), sprintf("%.0f B", bytes), \
      verdict(bytes <= own))
  }
}
