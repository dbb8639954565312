<?php
// What WordPress thinks of passwords, sessions and keys: POST /judge.php?QUESTION with a line for each
// thing asked about, its parts with tabs between; answers a line for each.
//
//   authenticate  login, password   yes or no
//   choose        login, password   theirs from now on: yes
//   login         login             a new session's cookie, NAME=VALUE
//   session       cookie            the login whose it is, or no
//   application   login             a new password for an application
//   reset         login             a new key of a reset's link
//   key           login, key        yes or no
require '/usr/share/wordpress/wp-load.php';

function answer($question, $parts)
{
    $yes = fn ($it) => is_wp_error($it) ? 'no' : 'yes';
    if ($question === 'session') {
        $value = rawurldecode(explode('=', $parts[0], 2)[1]);
        $user = wp_validate_auth_cookie($value, 'logged_in');
        return $user ? get_userdata($user)->user_login : 'no';
    }
    $user = get_user_by('login', $parts[0]);
    switch ($question) {
        case 'authenticate':
            return $yes(wp_authenticate($parts[0], $parts[1]));
        case 'choose':
            wp_set_password($parts[1], $user->ID);
            return 'yes';
        case 'login':
            $until = time() + DAY_IN_SECONDS;
            $cookie = wp_generate_auth_cookie($user->ID, $until, 'logged_in');
            return LOGGED_IN_COOKIE . '=' . rawurlencode($cookie);
        case 'application':
            $named = array('name' => 'phone');
            return WP_Application_Passwords::create_new_application_password($user->ID, $named)[0];
        case 'reset':
            return get_password_reset_key($user);
        case 'key':
            return $yes(check_password_reset_key($parts[1], $parts[0]));
    }
    http_response_code(404);
    return 'no such question';
}

header('Content-Type: text/plain');
foreach (explode("\n", rtrim(file_get_contents('php://input'), "\n")) as $line) {
    echo answer($_SERVER['QUERY_STRING'], explode("\t", $line)), "\n";
}
