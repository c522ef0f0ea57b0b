# What Debian's policy asks for and no other system knows.
set(share ${CPACK_TEMPORARY_DIRECTORY}/usr/share)
file(COPY ${CPACK_WEIR_MADE}/changelog.Debian.gz DESTINATION ${share}/doc/weir)
file(COPY ${CMAKE_CURRENT_LIST_DIR}/lintian-overrides DESTINATION ${share}/lintian/overrides)
file(RENAME ${share}/lintian/overrides/lintian-overrides ${share}/lintian/overrides/weir)
