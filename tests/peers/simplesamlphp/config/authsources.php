<?php
$person = fn (string $uid, string $given, string $family, array $groups): array => [
    'uid' => [$uid],
    'mail' => ["$uid@" . getenv('PEER_DOMAIN')],
    'givenName' => [$given],
    'sn' => [$family],
    'displayName' => ["$given $family"],
    'groups' => $groups,
];
$config = [
    'people' => [
        'exampleauth:UserPass',
        'alice:alice-password' => $person('alice', 'Alice', 'Ålesund', ['engineering', 'on call']),
        'bob:bob-password' => $person('bob', 'Bob', "O'Brien & <Sons>", ['sales']),
    ],
];
