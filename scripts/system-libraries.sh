#!/bin/sh
# See that the system has what a window needs (Qt's X11 libraries, OpenGL), and for
# "virtual-display" an X server without a screen. Installs what is missing where apt-get may be
# used; says what is needed where not.
set -eu
[ "$(uname -s)" = Linux ] || exit 0
need=${1:-window}
missing=""
lacks() { missing="$missing $1"; }
libraries=$(/sbin/ldconfig -p 2>/dev/null || ldconfig -p)
for pair in libGL.so.1:libgl1 libEGL.so.1:libegl1 libxcb-cursor.so.0:libxcb-cursor0 \
    libxcb-icccm.so.4:libxcb-icccm4 libxcb-keysyms.so.1:libxcb-keysyms1 \
    libxcb-image.so.0:libxcb-image0 libxcb-render-util.so.0:libxcb-render-util0 \
    libxcb-shape.so.0:libxcb-shape0 libxcb-randr.so.0:libxcb-randr0 \
    libxcb-xkb.so.1:libxcb-xkb1 libxkbcommon-x11.so.0:libxkbcommon-x11-0 \
    libdbus-1.so.3:libdbus-1-3 libfontconfig.so.1:libfontconfig1 libglib-2.0.so.0:libglib2.0-0; do
    case "$libraries" in *"${pair%%:*}"*) ;; *) lacks "${pair##*:}" ;; esac
done
if [ "$need" = virtual-display ]; then
    command -v Xvfb >/dev/null || lacks xvfb
    command -v xauth >/dev/null || lacks xauth
    [ -e /usr/lib/"$(uname -m)"-linux-gnu/dri/swrast_dri.so ] || [ -d /usr/lib64/dri ] || lacks libgl1-mesa-dri
fi
[ -z "$missing" ] && exit 0
# with no screen to show it on, a window needs nothing
[ "$need" = window ] && [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] && exit 0
if command -v apt-get >/dev/null; then
    root=""
    [ "$(id -u)" = 0 ] || root="sudo -n"
    echo "Installing$missing"
    # shellcheck disable=SC2086 # several words on purpose
    if $root apt-get update -qq && DEBIAN_FRONTEND=noninteractive $root apt-get install -y -qq $missing >/dev/null; then
        exit 0
    fi
fi
echo "These system packages are needed (Debian's names):$missing" >&2
exit 1
