#!/usr/bin/env bash
# Which images of a registry were made from a base, whose they are, and what their last scan found: read from houba's stamps
# by regctl and jq alone. No houba, no database, no signature is asked; `houba audit` and `houba verify` do that.
#
#   BLAST_REPOS='demo/debian demo/valkey' examples/blast-radius.sh
#   BLAST_BASE_DIGEST=sha256:… BLAST_OWNER=group:default/platform BLAST_REPOS=… examples/blast-radius.sh
#
# BLAST_REGISTRY     an entry of HOUBA_REGISTRIES, or a host; default: the only entry that is no source
# BLAST_REPOS        repositories, separated by spaces or commas; default: the registry's catalogue
# BLAST_BASE_DIGEST  select images made from this source digest
# BLAST_OWNER        select images that this owner is one of the owners of
# HOUBA_LABEL_PREFIX the prefix of the stamps; default: io.houba
#
# Logins are those of `regctl registry login` or Docker. SCAN counts the newest report: critical, high, medium, low and unrated,
# `clean` where there is none of these, `-` without a report, `?` where nobody can say. RUNNING IN is `-`: nothing here
# sees a cluster. Exit code 1: something could not be read, and what is printed is not all; 3: a setting is missing.
set -euo pipefail
set -f
export LC_ALL=C

PREFIX=${HOUBA_LABEL_PREFIX-io.houba}
ROSTER=${HOUBA_REGISTRIES:-'{}'}
FAILED=0

refuse() { printf 'error: %s\n' "$1" >&2; exit 3; }
warn() { FAILED=1; printf 'error: %s\n' "$1" | tr -c '[:print:]\n' '?' >&2; }

for program in regctl jq; do command -v "$program" >/dev/null || refuse "$program is not installed"; done
jq -e 'type == "object"' >/dev/null 2>&1 <<<"$ROSTER" || refuse 'HOUBA_REGISTRIES is no JSON map'
[ -n "$PREFIX" ] || refuse 'HOUBA_LABEL_PREFIX is empty: stamps then name no owner, and cannot be told from other annotations'

# The registry: host, namespace, and whether it speaks plain HTTP.
entry=$(jq -c --arg name "${BLAST_REGISTRY:-}" '
  if $name == "" then map(select(.source_only != true)) | (if length == 1 then .[0] else null end) else (.[$name] // {host: $name}) end' <<<"$ROSTER")
[ "$entry" != null ] || refuse 'set BLAST_REGISTRY: HOUBA_REGISTRIES does not have exactly one that is no source'
place=$(jq -r '.host // empty' <<<"$entry")
[ -n "$place" ] || refuse 'the entry of HOUBA_REGISTRIES has no host'
host=${place%%/*}
namespace=${place#"$host"}
namespace=${namespace#/}
options=(--verbosity error)
if jq -e '.tls_verify == false' >/dev/null <<<"$entry"; then options+=(--host "reg=$host,tls=disabled"); fi

# Runs regctl; its error goes to stderr without control characters.
ask() {
  local errors
  exec 3>&1
  if errors=$(regctl "${options[@]}" "$@" 2>&1 >&3 </dev/null); then exec 3>&-; return 0; fi
  exec 3>&-
  printf '%s\n' "$errors" | tr -c '[:print:]\n' '?' >&2
  return 1
}

# Lists the tags of a repository, page by page: a list that is cut in silence would hide images.
tags_of() {
  local page last='' next
  while :; do
    page=$(ask tag ls "$1" --limit 1000 ${last:+"--last=$last"} --format '{{json .}}') || return 1
    next=$(jq -r '.tags // [] | map(select(test("\\A[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\\z"))) | last // ""' <<<"$page") || return 1
    # A registry that knows no pages sends the same list again.
    if [ -z "$next" ] || [ "$next" = "$last" ]; then return 0; fi
    jq -r '.tags[] | select(test("\\A[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\\z"))
      | select(test("\\Asha256-[0-9a-f]{64}(\\.(sig|att|sbom))?\\z") | not)' <<<"$page" || return 1
    last=$next
  done
}

# What is known of an image, as one line of JSON. Everything that somebody else wrote goes from JSON to JSON.
row_of() {
  local repository=$1 tag=$2 digest manifest referrers
  digest=$(ask manifest head "$repository:$tag") || return 1
  manifest=$(ask manifest get "$repository@$digest" --format raw-body) || return 1
  referrers=$(ask artifact list "$repository@$digest" --format '{{json .}}') || return 1
  printf '%s\n%s\n' "$manifest" "$referrers" | jq -sc --arg prefix "$PREFIX" --arg ref "$repository:$tag" --arg tag "$tag" '
    def text: if type == "string" then . else "" end;
    def stamped: .[$prefix + ".policy"] != null and
      (.["org.opencontainers.image.base.digest"] | text | test("\\Asha(256:[0-9a-f]{64}|512:[0-9a-f]{128})\\z"));
    def named($type): map(select(.artifactType == $type) | .annotations // {});
    if length != 2 then error("it is not one document") else . end
    | (.[0].annotations // {}) as $own
    | (.[1].descriptors // []) as $beside
    | ($beside | named("application/vnd.houba.stamp.v1+json") | map(select(stamped))
        | sort_by(.["org.opencontainers.image.created"] | text)) as $stamps
    | (if $own | stamped then $own
       else ($stamps | map(select(.[$prefix + ".tag"] == $tag)) | last) // ($stamps | last) // {} end) as $stamp
    | ($beside | named("application/vnd.houba.scan.result.v1") | sort_by(.[$prefix + ".scan.timestamp"] | text)
        | last) as $scan
    | [["critical", "C"], ["high", "H"], ["medium", "M"], ["low", "L"], ["unknown", "U"]]
    | map([.[1], ($scan // {})[$prefix + ".scan.vuln." + .[0]]]) as $counts
    | {
        ref: $ref,
        base: ($stamp["org.opencontainers.image.base.digest"] | text),
        owners: ($stamp[$prefix + ".owners"] | text | split(",") | map(select(. != ""))),
        scan: (if $scan == null then "-"
          elif any($counts[]; .[1] | text | test("\\A[0-9]{1,9}\\z") | not) then "?"
          else ($counts | map(select(.[1] | tonumber > 0) | .[0] + .[1]) | if . == [] then "clean" else join(" ") end) end)
      }'
}

repositories=()
if [ -n "${BLAST_REPOS:-}" ]; then
  IFS=$', \t\n' read -r -d '' -a repositories <<<"$BLAST_REPOS" || true
else
  catalogue=$(ask repo ls "$host" --format '{{json .}}') || refuse "$host lists no repositories; set BLAST_REPOS"
  while IFS= read -r path; do repositories+=("$path"); done < <(jq -r --arg below "${namespace:+$namespace/}" '
    .repositories // [] | .[] | select(test("\\A[a-z0-9]+([._/-]+[a-z0-9]+)*\\z") and startswith($below))
    | ltrimstr($below)' <<<"$catalogue")
fi
[ "${#repositories[@]}" -gt 0 ] || refuse 'there is no repository to look at; set BLAST_REPOS'

rows=''
for path in "${repositories[@]}"; do
  repository=$host/${namespace:+$namespace/}$path
  if ! tags=$(tags_of "$repository"); then warn "$repository could not be listed"; continue; fi
  if [ -z "$tags" ]; then warn "$repository has no tag: is it spelt right?"; continue; fi
  while IFS= read -r tag; do
    if ! row=$(row_of "$repository" "$tag"); then
      warn "$repository:$tag could not be read"
      # Nobody can say what it was made from: it is a gap.
      row=$(jq -cn --arg ref "$repository:$tag" '{ref: $ref, base: "", owners: [], scan: "?"}')
    fi
    rows+=$row$'\n'
  done <<<"$tags"
done

printf '%s' "$rows" | jq -srj --arg base "${BLAST_BASE_DIGEST:-}" --arg owner "${BLAST_OWNER:-}" --arg host "$host" '
  # Control characters, and those that change the direction of text or are not seen.
  def shown: explode | map(if . < 32 or (. > 126 and . < 160) or . == 1564 or (. > 8202 and . < 8208)
    or (. > 8231 and . < 8239) or (. > 8286 and . < 8304) or . == 65279 then 63 else . end) | implode;
  def orNone: if . == "" then "-" else . end;
  def column($width): shown | . + (" " * ([$width - length, 0] | max) // "") + " ";
  def line($ref; $owners; $running; $scan; $base):
    ($ref | column(40)) + ($owners | column(30)) + ($running | column(18)) + ($scan | column(16)) + ($base | shown) + "\n";
  def grouped($title; keys): "\n" + $title + "\n" + (
    [.[] | .ref as $ref | keys | {key: orNone, ref: $ref}] | group_by(.key)
    | map("  " + (.[0].key | shown) + "  " + (length | tostring) + "  " + (map(.ref) | sort | join(" ") | shown) + "\n") | add // "");
  sort_by(.ref) as $all
  | [$all[] | select(($base == "" or .base == $base) and ($owner == "" or any(.owners[]; . == $owner)))] as $selected
  | "\($selected | length)/\($all | length) images of \($host)\n\n",
    line("REF"; "OWNERS"; "RUNNING IN"; "SCAN"; "BASE.DIGEST"),
    ($selected[] | line(.ref; .owners | join(",") | orNone; "-"; .scan; .base | orNone)),
    ($selected | grouped("By base digest"; .base)),
    ($selected | grouped("By owner"; if .owners == [] then "" else .owners | unique[] end)),
    "\nCoverage gap: \([$all[] | select(.base == "")] | length) of \($all | length) images have no base digest\n"'
exit "$FAILED"
