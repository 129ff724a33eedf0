#!/bin/sh
# Installs what `make test-peers` needs: Debian packages system-wide, Python and npm packages under .peers/.
# Each step is left out when it is done already. requirements.lock is made from requirements.in by
# `uv pip compile --python-version 3.11 --universal --generate-hashes --no-header --no-emit-index-url`.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
peers=$root/.peers
mkdir -p "$peers"

fail() {
	echo "test-peers: $1" >&2
	exit 1
}

# packages PROGRAM-OR-FILE=PACKAGE...: installs the packages whose program or file is not there.
packages() {
	missing=
	for pair in "$@"; do
		what=${pair%%=*}
		command -v "$what" >/dev/null 2>&1 || [ -e "$what" ] || missing="$missing ${pair#*=}"
	done
	[ -n "$missing" ] || return 0
	[ "$(id -u)" = 0 ] || fail "not installed:$missing. As root: apt-get install --no-install-recommends$missing"
	command -v apt-get >/dev/null || fail "not installed:$missing, and there is no apt-get here"
	echo "Installing$missing …"
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq >"$peers/apt.log" 2>&1 || fail "apt-get update failed: $(tail -n 3 "$peers/apt.log")"
	# shellcheck disable=SC2086 # a list of names
	apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends $missing >>"$peers/apt.log" 2>&1 ||
		fail "apt-get could not install$missing: $(tail -n 3 "$peers/apt.log")"
}

packages /usr/share/simplesamlphp/www/module.php=simplesamlphp php=php-cli openssl=openssl \
	faketime=faketime node=nodejs npm=npm xmlsec1=xmlsec1 curl=curl
# mod_auth_mellon; LemonLDAP::NG with what its SAML and OpenID parts load, and a server for it.
perl5=/usr/share/perl5
packages /usr/lib/apache2/modules/mod_auth_mellon.so=libapache2-mod-auth-mellon /usr/sbin/apache2=apache2-bin \
	/usr/share/lemonldap-ng/portal/htdocs/index.psgi=liblemonldap-ng-portal-perl plackup=libplack-perl \
	$perl5/GD/SecurityImage.pm=libgd-securityimage-perl $perl5/XML/Simple.pm=libxml-simple-perl \
	$perl5/IO/String.pm=libio-string-perl $perl5/String/Random.pm=libstring-random-perl
for module in Lasso:liblasso-perl Image::Magick:perlmagick; do
	perl -M"${module%:*}" -e1 2>/dev/null || packages "no such file=${module##*:}"
done
for extension in xml:dom sqlite3:pdo_sqlite mbstring:mbstring curl:curl; do
	php -r "exit(extension_loaded('${extension#*:}') ? 0 : 1);" || packages "no such file=php-${extension%:*}"
done
node -e 'process.exit(Number(process.versions.node.split(".")[0]) < 20 ? 1 : 0)' ||
	fail "the peers from npm need Node.js 20 or newer; here is $(node --version)"

if ! cmp -s "$here/requirements.lock" "$peers/python/installed.lock"; then
	echo "Installing the Python peers …"
	"$root/.venv/bin/python" -m venv --clear "$peers/python"
	"$peers/python/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r "$here/requirements.lock"
	cp "$here/requirements.lock" "$peers/python/installed.lock"
fi

if ! cmp -s "$here/applications/npm/package-lock.json" "$peers/npm/installed.json"; then
	echo "Installing the peers from npm …"
	rm -rf "$peers/npm"
	mkdir -p "$peers/npm"
	cp "$here/applications/npm/package.json" "$here/applications/npm/package-lock.json" \
		"$here/applications/npm/.npmrc" "$peers/npm/"
	(cd "$peers/npm" && npm ci --silent) || fail "npm could not install them"
	cp "$peers/npm/package-lock.json" "$peers/npm/installed.json"
fi
