#!/usr/bin/env bash
# Proves the compose stack by running it, twice: as `docker compose up` starts it, and with an account's own .edgerc and exporter.ini.
#
#   sudo tests/compose/prove.sh
#
# Needs root and Debian 12 or its like; installs the packages that it misses. Starts a Docker daemon of its own if none runs, with its own
# socket and data, and removes everything again, whatever happens.
#
# An image that cannot be pulled is replaced by a stand-in of the same name, built from Debian's packages:
#   rust:...              Debian with its C compiler, this machine's Rust toolchain, and the crates of Cargo.lock fetched beforehand
#   prom/prometheus:...   Debian's Prometheus, under the paths and the user of the real image
#   prom/alertmanager:... Debian's Alertmanager, likewise
#   grafana/grafana:...   NOT Grafana, which Debian does not have: standins/grafana.py, which reads the provisioning files and the dashboards
#                         from the mounts and passes queries on. It draws nothing.
# So without a registry this proves the image, the compose files, the mounts, the network, the scrape and every query of every dashboard,
# but not what Grafana makes of them on a screen. With one, the same checks run against the real images.
set -euo pipefail
umask 022

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
limit=25000000
passed=0

step() { printf '\n== %s (after %s s)\n' "$1" "$SECONDS"; }
die() { printf 'FAILED: %s\n%s passed, 1 failed\n' "$1" "$passed" >&2; exit 1; }
# check WORDS COMMAND...: COMMAND succeeds.
check() {
    local words=$1
    shift
    "$@" || die "$words"
    passed=$((passed + 1))
    printf 'ok: %s\n' "$words"
}
# within SECONDS COMMAND...: COMMAND succeeds sooner or later.
within() {
    local end=$((SECONDS + $1))
    shift
    until "$@" > /dev/null 2>&1; do
        ((SECONDS < end)) || return 1
        sleep 1
    done
}

[ "$(id -u)" = 0 ] || die "needs root: for packages, a Docker daemon and debootstrap"

# --- what must be undone -------------------------------------------------------------------------------------------------------------------

work=$(mktemp -d "${TMPDIR:-/tmp}/akamai-exporter-compose.XXXXXX")
project=akamai-exporter-proof
dockerd=
had_docker0=
forwarding=$(cat /proc/sys/net/ipv4/ip_forward)
declare -a images=() compose=()
declare -a mine=(COMPOSE_PROJECT_NAME="$project")
# The caller's settings are not this stack's.
unset COMPOSE_FILE COMPOSE_PROFILES EXPORTER_USER EDGERC AKAMAI_EXPORTER_REVISION

in_stack() { (cd "$work/checkout" && env "${mine[@]}" "${compose[@]}" "$@"); }

# shellcheck disable=SC2317 # called by trap
clean_up() {
    local status=$?
    trap - EXIT
    set +e
    step "cleaning up"
    if [ ${#compose[@]} -gt 0 ] && [ -d "$work/checkout" ]; then
        [ $status = 0 ] || { in_stack ps; in_stack logs --tail=30; } 2>&1 | tail -n 150
        in_stack down --volumes --remove-orphans --timeout 5 > /dev/null 2>&1
    fi
    if [ -n "$dockerd" ]; then
        docker ps --all --quiet | xargs --no-run-if-empty docker rm --force --volumes > /dev/null 2>&1
        kill "$dockerd"
        for _ in $(seq 30); do kill -0 "$dockerd" 2> /dev/null || break; sleep 1; done
        kill -0 "$dockerd" 2> /dev/null && kill -9 "$dockerd"
        awk -v under="$work/" 'index($2, under) == 1 { print $2 }' /proc/mounts | sort -r | xargs --no-run-if-empty umount --lazy
        if [ -z "$had_docker0" ]; then
            ip link delete docker0 2> /dev/null
            iptables-restore <<< $'*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\nCOMMIT\n*nat\n:PREROUTING ACCEPT\n:INPUT ACCEPT\n:OUTPUT ACCEPT\n:POSTROUTING ACCEPT\nCOMMIT'
            iptables-restore < "$work/iptables"
            echo "$forwarding" > /proc/sys/net/ipv4/ip_forward
        fi
    elif [ ${#images[@]} -gt 0 ]; then
        docker rmi --force "${images[@]}" > /dev/null 2>&1
    fi
    rm -rf --one-file-system "$work"
    echo "took $SECONDS s"
    exit $status
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# --- tools ---------------------------------------------------------------------------------------------------------------------------------

step "tools"
declare -A packages=([dockerd]=docker.io [docker]=docker.io [docker-compose]=docker-compose [debootstrap]=debootstrap [curl]=curl [python3]=python3 [iptables]=iptables [ip]=iproute2)
missing=()
for tool in "${!packages[@]}"; do
    command -v "$tool" > /dev/null || missing+=("${packages[$tool]}")
done
if [ ${#missing[@]} -gt 0 ]; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" > "$work/apt.log" 2>&1 \
        || { tail -n 20 "$work/apt.log"; die "cannot install ${missing[*]}"; }
fi

if ! docker info > /dev/null 2>&1; then
    ip link show docker0 > /dev/null 2>&1 && had_docker0=yes
    iptables-save > "$work/iptables"
    export DOCKER_HOST="unix://$work/docker.sock"
    dockerd --host "$DOCKER_HOST" --data-root "$work/docker" --exec-root "$work/run" --pidfile "$work/docker.pid" > "$work/dockerd.log" 2>&1 &
    dockerd=$!
    within 60 docker info || { tail -n 20 "$work/dockerd.log"; die "dockerd does not start"; }
fi
printf 'Docker Engine %s' "$(docker version --format '{{.Server.Version}}')"
printf '%s\n' "${dockerd:+, started here}"

# Compose 1.29 is Debian 12's docker-compose. Compose v2 is Docker's plugin or Debian 13's docker-compose, which needs no more than libc.
compose_v2_of_debian_13() {
    local apt=(-o "Dir::Etc::sourcelist=$work/v2/sources.list" -o Dir::Etc::sourceparts=/dev/null -o "Dir::State::lists=$work/v2/lists"
        -o "Dir::Cache=$work/v2/cache" -o APT::Sandbox::User=root)
    mkdir -p "$work"/v2/{lists/partial,cache/archives/partial}
    echo 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian trixie main' > "$work/v2/sources.list"
    (cd "$work/v2" && apt-get "${apt[@]}" update -qq && apt-get "${apt[@]}" download -qq docker-compose && dpkg-deb -x docker-compose_*.deb .) \
        > "$work/v2/log" 2>&1
}
v1=() v2=()
case $(docker-compose version --short) in
    1.*) v1=(docker-compose) ;;
    *) v2=(docker-compose) ;;
esac
if docker compose version > /dev/null 2>&1; then
    v2=(docker compose)
elif [ ${#v2[@]} = 0 ] && compose_v2_of_debian_13; then
    v2=("$work/v2/usr/libexec/docker/cli-plugins/docker-compose")
fi
[ ${#v1[@]} = 0 ] && echo "no Compose 1.29 here: v2 alone" && v1=("${v2[@]}")
[ ${#v2[@]} = 0 ] && echo "no Compose v2 here: 1.29 alone" && v2=("${v1[@]}")
echo "Compose $("${v1[@]}" version --short) and $("${v2[@]}" version --short)"

# --- a checkout, without what else lies about in the repository ---------------------------------------------------------------------------

mkdir "$work/checkout"
(cd "$root" && tar -c Cargo.toml Cargo.lock LICENSE Dockerfile .dockerignore docker-compose.yml docker-compose.account.yml exporter.ini \
    prometheus.yml alertmanager.yml prometheus grafana src tests/compose) | tar -x -C "$work/checkout" --no-same-owner

step "compose files"
account=(-f docker-compose.yml -f docker-compose.account.yml)
for tool in v1 v2; do
    declare -n chosen=$tool
    compose=("${chosen[@]}")
    version=$("${chosen[@]}" version --short)
    check "Compose $version accepts docker-compose.yml" in_stack config --quiet
    if in_stack "${account[@]}" config --quiet 2> "$work/refusal"; then die "docker-compose.account.yml works without an account"; fi
    check "Compose $version asks for what the account's file needs" grep -q "see docker-compose.account.yml" "$work/refusal"
    mine+=(EXPORTER_USER=1234:1234 EDGERC=/nowhere)
    check "Compose $version accepts the account's file" in_stack "${account[@]}" config --quiet
    mine=("${mine[0]}")
done

# --- images --------------------------------------------------------------------------------------------------------------------------------

step "images"
rust=$(awk '/^FROM rust:/ { print $2 }' "$root/Dockerfile")
prometheus=$(awk '/image: prom\/prometheus/ { print $2 }' "$root/docker-compose.yml")
alertmanager=$(awk '/image: prom\/alertmanager/ { print $2 }' "$root/docker-compose.yml")
grafana=$(awk '/image: grafana\/grafana/ { print $2 }' "$root/docker-compose.yml")
absent=()
for image in "$rust" "$prometheus" "$alertmanager" "$grafana"; do
    docker image inspect "$image" > /dev/null 2>&1 || timeout 300 docker pull --quiet "$image" > /dev/null 2>&1 || absent+=("$image")
done

# One root file system, with everything that any stand-in needs; what differs is a layer of settings.
stand_ins() {
    local base=$work/base toolchain target
    echo "cannot be pulled, replaced by stand-ins: ${absent[*]}"
    toolchain=$(rustc --print sysroot)
    target=$(rustc -vV | sed -n 's/^host: //p')
    [[ $rust == rust:$(rustc --version | cut -d' ' -f2)-* ]] || echo "note: $rust is replaced by $(rustc --version)"
    # The crates meanwhile: debootstrap waits for the disk, this for the network.
    local home=$work/cargo
    mkdir "$home"
    cp "${CARGO_HOME:-$HOME/.cargo}"/config.toml "$home/" 2> /dev/null || true
    (cd "$work/checkout" && CARGO_HOME=$home cargo fetch --quiet --locked --target "$target") &
    local fetching=$!
    debootstrap --variant=minbase --include=ca-certificates,gcc,libc6-dev,python3,python3-yaml,busybox-static bookworm "$base" \
        > "$work/debootstrap.log" 2>&1 || { tail -n 5 "$work/debootstrap.log"; die "debootstrap failed"; }
    wait "$fetching" || die "cannot fetch the crates"
    rm -rf "$base"/var/cache/apt/* "$base"/var/lib/apt/lists/* "$base"/usr/share/{doc,locale,man}
    mkdir -p "$base"/usr/local/rust/lib/rustlib "$base"/usr/local/cargo "$base"/prometheus "$base"/alertmanager "$base"/usr/share/grafana
    cp -a "$toolchain"/bin "$base"/usr/local/rust/
    cp -a "$toolchain"/lib/*.so* "$base"/usr/local/rust/lib/
    cp -a "$toolchain/lib/rustlib/$target" "$base"/usr/local/rust/lib/rustlib/
    rm -rf "$home"/registry/src
    mv "$home"/registry "$base"/usr/local/cargo/
    ln -s /bin/busybox "$base"/usr/local/bin/wget
    local debs=(prometheus prometheus-alertmanager) deb
    if ! (cd "$work" && apt-get download -qq "${debs[@]}") > /dev/null 2>&1; then
        apt-get update -qq
        (cd "$work" && apt-get download -qq "${debs[@]}") > /dev/null 2>&1 || die "cannot get Debian's ${debs[*]}"
    fi
    for deb in "${debs[@]}"; do dpkg-deb -x "$work/$deb"_*.deb "$work/debs"; done
    cp "$work"/debs/usr/bin/{prometheus,promtool,amtool} "$base"/bin/
    cp "$work"/debs/usr/bin/prometheus-alertmanager "$base"/bin/alertmanager
    # Alertmanager's own templates, which the real image has in its binary.
    mkdir -p "$base"/usr/share/prometheus
    cp -r "$work"/debs/usr/share/prometheus/alertmanager "$base"/usr/share/prometheus/
    cp "$here"/standins/grafana.py "$base"/grafana.py
    # As Grafana's own: a variable ending in __FILE gets the file's content.
    cat > "$base"/run.sh <<'RUN'
#!/bin/sh
set -e
GF_SECURITY_ADMIN_PASSWORD=$(cat "$GF_SECURITY_ADMIN_PASSWORD__FILE")
export GF_SECURITY_ADMIN_PASSWORD
exec python3 /grafana.py
RUN
    chmod 755 "$base"/run.sh
    chown 65534:65534 "$base"/prometheus "$base"/alertmanager
    install -d -o 472 -g 0 -m 777 "$base"/var/lib/grafana
    local path=/usr/local/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    images+=(akamai-exporter-standin)
    tar -C "$base" -c . | docker import --change "ENV PATH=$path" - akamai-exporter-standin > /dev/null
    rm -rf --one-file-system "$base" "$home"
    local image
    for image in "${absent[@]}"; do
        images+=("$image")
        {
            echo 'FROM akamai-exporter-standin'
            case $image in
                rust:*) echo 'ENV CARGO_HOME=/usr/local/cargo CARGO_NET_OFFLINE=true' ;;
                prom/alertmanager:*)
                    printf '%s\n' 'WORKDIR /alertmanager' 'USER 65534:65534' 'VOLUME /alertmanager' 'ENTRYPOINT ["/bin/alertmanager"]'
                    ;;
                prom/*)
                    printf '%s\n' 'WORKDIR /prometheus' 'USER 65534:65534' 'VOLUME /prometheus' 'ENTRYPOINT ["/bin/prometheus"]'
                    ;;
                grafana/*)
                    printf '%s\n' 'WORKDIR /usr/share/grafana' 'USER 472:0' 'ENV PYTHONUNBUFFERED=1' 'ENTRYPOINT ["/run.sh"]'
                    ;;
            esac
        } | DOCKER_BUILDKIT=0 docker build --quiet --tag "$image" - > /dev/null 2>&1 || die "cannot build a stand-in for $image"
    done
}
if [ ${#absent[@]} -gt 0 ]; then stand_ins; fi

step "the exporter's image, without BuildKit"
docker image inspect akamai-exporter:0.1.0 > /dev/null 2>&1 || images+=(akamai-exporter:0.1.0)
revision=$(git -C "$root" rev-parse HEAD 2> /dev/null || echo unknown)
mine+=(AKAMAI_EXPORTER_REVISION="$revision" DOCKER_BUILDKIT=0)
# Ports that nobody has, so that nothing else on this machine is in the way.
free_ports() {
    python3 -c 'import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(6)]
print(*(s.getsockname()[1] for s in sockets))'
}
read -r exporter_port prometheus_port alertmanager_port notifications_port grafana_port other_port < <(free_ports)
mine+=(EXPORTER_PORT="$exporter_port" PROMETHEUS_PORT="$prometheus_port" GRAFANA_PORT="$grafana_port"
    ALERTMANAGER_PORT="$alertmanager_port" NOTIFICATIONS_PORT="$notifications_port")
compose=("${v1[@]}")
in_stack build > "$work/build.log" 2>&1 || { tail -n 40 "$work/build.log"; die "docker-compose build"; }

image() { docker image inspect --format "$1" akamai-exporter:0.1.0; }
size=$(image '{{.Size}}')
echo "image size: $size bytes"
check "at most 25 MB" test "$size" -le $limit
check "a numeric user" test "$(image '{{.Config.User}}')" = 65532:65532
check "the version of the label is the binary's" \
    test "akamai-exporter $(image '{{index .Config.Labels "org.opencontainers.image.version"}}')" = "$(docker run --rm akamai-exporter:0.1.0 --version)"
check "the label names the commit" test "$(image '{{index .Config.Labels "org.opencontainers.image.revision"}}')" = "$revision"
check "no environment but PATH and HOME" test "$(image '{{range .Config.Env}}{{println .}}{{end}}' | grep -cEv '^(PATH|HOME)=|^$')" = 0

# --- the stack ------------------------------------------------------------------------------------------------------------------------------

container() { in_stack ps --quiet "$1"; }
state() { docker inspect --format "$2" "$(container "$1")"; }
healthy() { [ "$(state "$1" '{{.State.Health.Status}}')" = healthy ]; }
# The sum of a query's values, rounded; nothing if there is no series.
ask() {
    curl -fsS --max-time 10 --data-urlencode "query=$1" "http://127.0.0.1:$prometheus_port/api/v1/query" \
        | python3 -c 'import json, sys
values = [float(series["value"][1]) for series in json.load(sys.stdin)["data"]["result"]]
print(round(sum(values)) if values else "")'
}
is() { [ "$(ask "$1")" = "$2" ]; }
positive() { [[ $(ask "$1") =~ ^[1-9] ]]; }
target_up() {
    curl -fsS --max-time 10 "http://127.0.0.1:$prometheus_port/api/v1/targets?state=active" | python3 -c 'import json, sys
targets = json.load(sys.stdin)["data"]["activeTargets"]
ours = [target for target in targets if target["scrapeUrl"] == "http://exporter:9877/metrics"]
sys.exit(not (len(ours) == 1 and all(target["health"] == "up" for target in targets)))'
}
rules_sound() {
    curl -fsS --max-time 10 "http://127.0.0.1:$prometheus_port/api/v1/rules" | python3 -c 'import json, sys
rules = [rule for group in json.load(sys.stdin)["data"]["groups"] for rule in group["rules"]]
sys.exit(not rules or any(rule["health"] != "ok" for rule in rules))'
}
# Prometheus has found the stack's Alertmanager, and no other.
alertmanager_known() {
    curl -fsS --max-time 10 "http://127.0.0.1:$prometheus_port/api/v1/alertmanagers" | python3 -c 'import json, sys
found = json.load(sys.stdin)["data"]
urls = [one["url"] for one in found["activeAlertmanagers"]]
sys.exit(urls != ["http://alertmanager:9093/api/v2/alerts"] or bool(found["droppedAlertmanagers"]))'
}
hand_made() {
    curl -fsS --max-time 10 --header 'Content-Type: application/json' "http://127.0.0.1:$alertmanager_port/api/v2/alerts" --data '[{
        "labels": {"alertname": "HandMade", "severity": "critical", "category": "errors", "scope": "cpcode", "account": "proof", "cpcode": "7"},
        "annotations": {"summary": "CP code 7 <Shop>: hand-made"}}]'
}
notified() {
    local url=http://127.0.0.1:$notifications_port
    curl -fsS --max-time 10 "$url/api/v1/notifications" | python3 -c 'import json, sys
titles = [one["title"] for one in json.load(sys.stdin)["notifications"] if one["group_labels"].get("account") == "proof"]
sys.exit(titles != ["CRITICAL: CP code 7 <Shop>: hand-made"])' && curl -fsS --max-time 10 "$url/" | grep -qF 'CP code 7 &lt;Shop&gt;: hand-made'
}
unwritable() { ! docker cp "$here/prove.sh" "$(container "$1"):/written" > /dev/null 2>&1; }
users() { docker top "$(container "$1")" -eo uid,pid | awk 'NR > 1 { print $1 }' | sort -u; }
not_root() { [ -n "$(users "$1")" ] && ! users "$1" | grep -qx 0; }
only_local() { test "$(docker ps --filter "label=com.docker.compose.project=$project" --format '{{.Ports}}' | tr ',' '\n' | grep -e '->' | grep -vc '127\.0\.0\.1:')" = 0; }
services=(exporter prometheus notifications alertmanager grafana)
comes_up() {
    in_stack up --detach > "$work/up.log" 2>&1 || { tail -n 20 "$work/up.log"; die "docker-compose up"; }
    for service in "${services[@]}"; do
        check "$service is healthy" within 120 healthy "$service"
    done
    check "Prometheus reports the exporter's target up" within 60 target_up
}
stops() {
    local containers=() id
    for service in exporter prometheus notifications alertmanager; do containers+=("$(container "$service")"); done
    in_stack stop > "$work/stop.log" 2>&1 || die "docker-compose stop"
    for id in "${containers[@]}"; do
        check "a clean stop of $(docker inspect --format '{{.Name}}' "$id")" test "$(docker inspect --format '{{.State.ExitCode}}' "$id")" = 0
    done
}

step "docker-compose up, with nothing else ($("${compose[@]}" version --short))"
comes_up
check "the exporter is what listens on its port" test "$(curl -fsS --max-time 5 "http://127.0.0.1:$exporter_port/-/healthy" -o /dev/null -w '%{http_code}')" = 200
check "promtool accepts prometheus.yml and the rules" in_stack exec -T prometheus promtool check config /etc/prometheus/prometheus.yml
check "amtool accepts alertmanager.yml and the templates" in_stack exec -T alertmanager amtool check-config /etc/alertmanager/alertmanager.yml
check "ports are bound to this machine alone" only_local
for service in "${services[@]}"; do
    check "$service does not run as root" not_root "$service"
    check "$service has no capabilities" test "$(state "$service" '{{.HostConfig.CapDrop}} {{.HostConfig.CapAdd}}')" = '[ALL] []'
    check "$service gains no privileges" test "$(state "$service" '{{.HostConfig.SecurityOpt}}')" = '[no-new-privileges:true]'
done
for service in exporter prometheus notifications alertmanager; do
    check "$service cannot write to its root file system" unwritable "$service"
done
check "Prometheus knows Alertmanager" within 60 alertmanager_known
check "Alertmanager takes a hand-made alert" hand_made
check "and its notification is on the page, once" within 60 notified
check "the simulated traffic reaches Prometheus" within 60 positive 'akamai_estats_sample_hits'
check "the simulated reports reach Prometheus" within 90 positive 'akamai_traffic_edge_hits_total'
check "Prometheus takes remote write" within 60 is 'akamai_exporter_sink_up{sink="remote_write"}' 1
# Of the six hours of history the last one is not settled yet.
check "hours of windows are there right after the start" within 120 \
    positive 'count_over_time((sum (last_over_time(akamai_traffic_window_edge_hits{source="amd"}[4m59s])))[7h:5m]) >= 55'
check "and Prometheus refuses none" is 'sum(akamai_exporter_sink_items_total{outcome=~"refused|lost"})' 0
check "every source gives data" within 60 is 'count(akamai_up == 1) == count(akamai_up)' 4
check "Prometheus evaluates every rule" within 60 rules_sound
check "the dashboards' data is present" python3 "$here/dashboards.py" "http://127.0.0.1:$grafana_port" 120

password() { in_stack exec -T grafana cat /var/lib/grafana/admin-password; }
settings() { curl -s --max-time 5 -o /dev/null -w '%{http_code}' "$@" "http://127.0.0.1:$grafana_port/api/admin/settings"; }
check "Grafana's password was made here" test "$(password | wc -c)" = 33
check "Grafana's password is for Grafana alone" test "$(in_stack exec -T grafana stat -c '%u %a' /var/lib/grafana/admin-password | tr -d '\r')" = '472 600'
check "Grafana's administrator gets in with it" test "$(settings --user "admin:$(password)")" = 200
check "and not with admin" test "$(settings --user admin:admin)" = 401
check "without a login nobody is an administrator" test "$(settings)" != 200
before=$(password)
in_stack restart --timeout 5 grafana > /dev/null 2>&1
same_password() { [ "$(password)" = "$before" ]; }
check "the password outlives a restart" within 30 same_password
stops
in_stack down --volumes --timeout 5 > /dev/null 2>&1

# --- an account ------------------------------------------------------------------------------------------------------------------------------

compose=("${v2[@]}")
step "one step to an account ($("${compose[@]}" version --short))"
# What a person has: an .edgerc of their own. Its credentials are the simulator's.
person=1234
install -d -o $person -g $person -m 700 "$work/home"
simulator=$(docker run --detach akamai-exporter:0.1.0 simulate --listen 127.0.0.1:9878)
within 10 sh -c "docker logs $simulator 2> /dev/null | grep -q access_token" || die "the simulator prints no credentials"
docker logs "$simulator" 2> /dev/null > "$work/home/.edgerc"
docker rm --force "$simulator" > /dev/null
chown $person:$person "$work/home/.edgerc"
chmod 600 "$work/home/.edgerc"
secret=$(awk -F ' *= *' '$1 == "client_secret" { print $2 }' "$work/home/.edgerc")
test -n "$secret" || die "no secret in the simulator's .edgerc"

# The documented step; the last file is the simulator in Akamai's place.
printf 'COMPOSE_FILE=docker-compose.yml:docker-compose.account.yml:tests/compose/simulator.yml\nEXPORTER_USER=%s\nEDGERC=%s\n' \
    "$person:$person" "$work/home/.edgerc" > "$work/checkout/.env"
comes_up
check "the shipped exporter.ini gives data with the account's credentials" within 60 is 'akamai_up == 1' 1
check "for the CP code that it names" within 30 positive 'akamai_estats_sample_hits{cpcode="1209788", tier="edge"}'
check "under the ids of the .edgerc's owner" test "$(users exporter)" = $person
check "the secret is in no container's settings" test "$(docker ps --quiet | xargs docker inspect | grep -cF "$secret")" = 0
# The simulator, which is not part of the stack, prints what it made up.
check "the secret is in no log" test "$(in_stack logs "${services[@]}" 2>&1 | grep -cF "$secret")" = 0
check "the secret is not in the image" test "$(docker save akamai-exporter:0.1.0 | grep -acF "$secret")" = 0

step "names in the static binary"
# Plain HTTP is for loopback alone, so these are https: one name exists and does not speak it, the other does not exist.
mkdir "$work/names"
printf '[akamai resolved]\nedgerc_section = resolved\n[akamai unresolved]\nedgerc_section = unresolved\n[estats resolved]\naccount = resolved\ncpcodes = 1\n[estats unresolved]\naccount = unresolved\ncpcodes = 1\n' > "$work/names/exporter.ini"
for pair in resolved=prometheus:9090 unresolved=no-such-host.invalid; do
    printf '[%s]\nhost = https://%s\nclient_token = t\nclient_secret = s\naccess_token = a\n' "${pair%%=*}" "${pair#*=}"
done > "$work/names/.edgerc"
names=$(docker run --detach --read-only --network "${project}_default" --publish "127.0.0.1:$other_port:9877" \
    --volume "$work/names:/etc/akamai-exporter:ro" akamai-exporter:0.1.0)
reason() { curl -fsS --max-time 5 "http://127.0.0.1:$other_port/metrics" | grep '^akamai_exporter_polls_total.*failure' | grep "account=\"$1\"" | grep -q "reason=\"$2\""; }
check "a name that exists is resolved" within 60 reason resolved tls
check "a name that does not is not" within 60 reason unresolved dns
docker stop -t 10 "$names" > /dev/null 2>&1
check "docker stop ends it with exit status 0" test "$(docker inspect --format '{{.State.ExitCode}}' "$names")" = 0
docker rm "$names" > /dev/null
stops

step "done"
printf '%s passed, 0 failed\n' "$passed"
