#!/bin/sh
# Generate the secrets that the service needs, one file per setting, in a folder that only you can enter.
#
#   sh deploy/make-secrets.sh            for docker-compose.yml: in deploy/secrets, with those for its Redis
#   sh deploy/make-secrets.sh FOLDER     for the systemd units, or for OTP_SECRETS_DIR=FOLDER
#
# Existing files are not changed: a new otp_index_key would reset every limit.
set -eu
case ${1-} in
-*)
    echo "Usage: sh $0 [FOLDER]   (without FOLDER: $(dirname "$0")/secrets, with those for the Redis of compose)" >&2
    [ "$1" = --help ] || [ "$1" = -h ]
    exit
    ;;
esac
umask 077
folder=${1-$(dirname "$0")/secrets}
mkdir -p "$folder"
cd "$folder"
chmod 700 .

random() { od -An -v -tx1 -N "$1" /dev/urandom | tr -d ' \n'; }
keep() { [ -s "$1" ] || printf '%s\n' "$2" > "$1"; }

keep otp_secret_keys "$(random 32)"
keep otp_index_key "$(random 32)"
[ -e twilio_auth_token ] || : > twilio_auth_token

# Redis: the user of the service has a password and cannot administer the server; without a password, only PING is
# allowed. The two files contain the same password, so they are generated together.
if [ $# = 0 ] && { [ ! -s redis_url ] || [ ! -s redis_users ]; }; then
    password=$(random 32)
    printf 'redis://otp:%s@redis:6379/0\n' "$password" > redis_url
    {
        printf 'user default on nopass resetkeys resetchannels -@all +ping\n'
        printf 'user otp on >%s ~otp:* resetchannels +@all -@admin -@dangerous +info\n' "$password"
    } > redis_users
fi
# Containers see the files with this mode, but run as other users, who must be able to read them. The folder is private.
[ $# != 0 ] || chmod 644 otp_secret_keys otp_index_key twilio_auth_token redis_url redis_users

[ -s twilio_auth_token ] || echo "Now put your Twilio Auth Token into $PWD/twilio_auth_token"
