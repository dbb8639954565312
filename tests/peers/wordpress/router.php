<?php
// What PHP's own web server asks for each request: the judge stands beside WordPress.
if (parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH) === '/judge.php') {
    require '/srv/judge.php';
    return true;
}
return false;
