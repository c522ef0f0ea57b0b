# Puts the console together: cmake -D SOURCE=etc/console -D OUTPUT=FOLDER [-D REQUIRE=ON] -P console.cmake
#
# The page is served as it stands in SOURCE. What it takes from npm, as package-lock.json pins it, lands in
# OUTPUT/lib. Without npm or its registry the console has no players, and the rest of it works: only a package
# REQUIREs them.
cmake_minimum_required(VERSION 3.25)

set(npm_files
  hls.js/dist/hls.min.js
  hls.js/LICENSE
  mpegts.js/dist/mpegts.js
  mpegts.js/LICENSE
  mpegts.js/dist/mpegts.js.LICENSE.txt
  @fontsource-variable/inter/files/inter-latin-wght-normal.woff2
  @fontsource-variable/inter/files/inter-latin-ext-wght-normal.woff2
  @fontsource-variable/inter/LICENSE)

file(GLOB sources ${SOURCE}/*.html ${SOURCE}/*.css ${SOURCE}/*.js ${SOURCE}/*.svg)
file(REMOVE_RECURSE ${OUTPUT}/lib)
file(COPY ${sources} DESTINATION ${OUTPUT})

set(work ${OUTPUT}-npm)
file(SHA256 ${SOURCE}/package-lock.json pins)
set(installed "")
if(EXISTS ${work}/installed)
  file(READ ${work}/installed installed)
endif()
if(NOT installed STREQUAL pins AND (REQUIRE OR NOT installed STREQUAL "none for ${pins}"))
  file(COPY ${SOURCE}/package.json ${SOURCE}/package-lock.json DESTINATION ${work})
  execute_process(
    COMMAND npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
            --fetch-timeout=15000 --fetch-retries=1 --fetch-retry-mintimeout=1000
    WORKING_DIRECTORY ${work} TIMEOUT 120 RESULT_VARIABLE failed ERROR_VARIABLE complaints OUTPUT_QUIET)
  if(failed)
    set(installed "none for ${pins}")
    string(STRIP "${complaints}" complaints)
    message(NOTICE "The console is without players: npm ci says ${failed} ${complaints}")
  else()
    set(installed ${pins})
  endif()
  file(WRITE ${work}/installed "${installed}")
endif()

if(installed STREQUAL pins)
  foreach(file ${npm_files})
    cmake_path(GET file FILENAME name)
    if(name MATCHES LICENSE)
      string(REPLACE "/" "." name ${file})
      string(REGEX REPLACE "^@|[.]txt$" "" name ${name})
      string(APPEND name .txt)
    endif()
    configure_file(${work}/node_modules/${file} ${OUTPUT}/lib/${name} COPYONLY)
  endforeach()
elseif(REQUIRE)
  message(FATAL_ERROR "A package needs the console's players, so npm and its registry.")
endif()
