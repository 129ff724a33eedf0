<?php
// The application's page for PHP's own server; everything else is SimpleSAMLphp's.
if (parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH) !== '/whoami') {
    return false;
}
require_once '/usr/share/simplesamlphp/lib/_autoload.php';
$session = new SimpleSAML\Auth\Simple('application');
$session->requireAuth(['ForceAuthn' => $_SERVER['QUERY_STRING'] === 'fresh']);
$nameId = $session->getAuthData('saml:sp:NameID');
header('Content-Type: application/json');
echo json_encode([
    'peer' => 'SimpleSAMLphp',
    'email' => $session->getAttributes()['urn:oid:0.9.2342.19200300.100.1.3'][0] ?? '',
    'name_id' => $nameId->getValue(),
    'format' => $nameId->getFormat(),
    'context' => $session->getAuthData('saml:sp:AuthnContext'),
    'attributes' => $session->getAttributes(),
], JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE);
