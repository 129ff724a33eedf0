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
    'application' => [
        'saml:SP',
        'entityID' => getenv('PEER_BASE') . '/sp',
        'idp' => getenv('PEER_IDENTITY_PROVIDER'),
        'privatekey' => 'signing.key',
        'certificate' => 'signing.crt',
        'sign.authnrequest' => true,
        'sign.logout' => true,
        'WantAssertionsSigned' => true,
        'signature.algorithm' => 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
        'NameIDPolicy' => [
            'Format' => 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
            'AllowCreate' => false,
        ],
    ],
];
