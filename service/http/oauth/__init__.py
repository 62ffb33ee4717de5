"""The door of `keywright login`: an authorization server for one client, the command line. See `people/authorization`.

    /.well-known/oauth-authorization-server   what there is (RFC 8414)
    /oauth/authorize                          a page: let this computer in? (RFC 6749, 4.1; RFC 7636; RFC 8252)
    /oauth/device-authorization               a computer without a browser begins (RFC 8628, 3.1)
    /oauth/device                             a page: type the code that it shows
    /oauth/token                              a session, for a code or a computer that was let in

Pages are for browsers, and the rest speaks as those papers have it: none of it is in the OpenAPI document.
"""
