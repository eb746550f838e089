"""Compounds and idioms: word sequences that name something else than their parts do, beside those of `objects`.

The format is that of `objects.PHRASES`: object | phrases (singular; plurals are generated). "-": none of the table.
"""

COMPOUNDS = """
toilet | toilet bowl, toilet tank, toilet lid
truck | delivery truck, food truck, horse trailer, ice cream truck
boat | life boat, cruise ship, tug boat, banana boat, swan boat, duck boat
train | dining car, box car, cattle car, rail car, street car, bullet train
car | bumper car, sports car, remote control car
airplane | war plane, passenger airplane, sea plane
tv | computer screen, tv set, flat screen tv
cell phone | flip phone, pay phone
chair | wheel chair, office chair, high chair, dining chair, folding chair, beach chair, driver's seat, booster seat
cake | cup cake, cheese cake, pan cake
hot dog | chili dog
dog | bird dog, sheep dog, sled dog, prairie hound
bird | zebra finch, guinea fowl, guinea hen, bird of prey
bear | bear cub, sun bear
person | bird watcher, train conductor, cub scout, eagle scout, cow boy, cow girl, chair person, fisher man, mail man,
  police man, fire man, weather man, business man, business woman, sales man, cave man, bus boy, frisbee team, cricket
  team, rugby team, polo team, swim team, track team, ski team, surf team, sports team, lacrosse team, tennis team,
  softball team, dance team, kite boarder, kite surfer, kite flyer, body surfer, dog owner, dog trainer, horse
  trainer, bike messenger, cake decorator, pizza maker, bus passenger, train passenger, boat captain, duck hunter,
  bear hunter, cat lady, cat lover, dog lover, dog sitter, dog groomer, phone operator, boat builder, bicycle rider,
  motorcyle rider, skateboard rider, kite rider, ski jumper, ski instructor, surf instructor, tennis coach
person | pizza chef, book seller, tree surgeon, sheep farmer, cow hand, bull fighter, lion tamer, snake charmer
man | boy friend
woman | girl friend
glove | oven mitt, oven glove, winter mitten
hat | chef hat, chef's hat, party hat, sun hat, bucket hat
knife | chef's knife, chef knife, pocket knife, steak knife, bread knife
toy | toy car, rubber duck, rubber ducky, model train, model airplane, model plane, model car, model boat, model ship,
  matchbox car, action figure, toy horse, toy dog, toy cat, paper airplane, paper plane
sidewalk | side walk
sign | road sign, traffic sign, crossing sign, parking sign, zebra crossing sign, deer crossing sign, neon sign
girl | school girl
boy | school boy
sand | sand box, sand castle
park | baseball park
elephant | elephant calf, elephant bull, elephant cow, bull elephant
zebra | zebra foal, zebra mare, zebra stallion
giraffe | giraffe calf, giraffe bull
goat | goat kid
drink | carrot juice, tomato juice
- | zebra crossing, sign of, signs of, railroad crossing, rail crossing, train crossing, railway crossing, level
  crossing, pedestrian crossing, cattle crossing, deer crossing, tram stop, truck stop, taxi stand, taxi rank, cab
  stand, bus shelter, bus terminal, bus depot, bus ticket, bus pass, bus route, bus fare, bus schedule, train ticket,
  train yard, train terminal, train depot, train line, train route, train schedule, train wreck, tram line, tram
  station, tram track, subway entrance, subway platform, subway map, plane ticket, plane crash, jet lag, jet stream,
  jet of water, jet engine, airplane hangar, airplane ticket, airplane mode, boat show, boat yard, boat launch, boat
  landing, boat lift, boat shoe, boat neck, gravy boat, ship yard, space ship, ship wreck, ship container, cable car
- | car wash, car port, car dealership, car dealer, car show, car key, car alarm, car pool, car crash, car accident,
  car insurance, side car, car sickness, car rental, bike shed, bike lock, bike repair, bicycle lane, bicycle rack,
  bicycle lock, bicycle pump, bike pump, motorcycle club, power plant, nuclear plant, treatment plant, manufacturing
  plant, assembly plant, processing plant, chemical plant, industrial plant, steel plant, bottling plant, recycling
  plant, water plant, sewage plant, car plant, packing plant, desalination plant, coal plant, solar plant, cement
  plant, auto plant, egg plant, plant pot, plant food, plant life, piano keyboard, musical keyboard, music keyboard,
  electric keyboard, electronic keyboard, midi keyboard, casio keyboard, yamaha keyboard, synthesizer keyboard, organ
  keyboard, keyboard player, keyboard instrument, key board
- | bird's eye, bird's nest, birds eye, birds nest, bull's eye, bulls eye, cat's eye, cats eye, cow's milk, goat's
  milk, sheep's wool, lamb's wool, sheep's clothing, lamb skin, sheep skin, crow's nest, crow bar, goose bump, duck
  tape, duck face, duck lips, duck sauce, lame duck, sitting duck, eagle eye, eagle eyes, hawk eye, hawk eyes, swan
  dive, swan song, wild goose chase, bird seed, bird song, bird call, bird nest, bird flu, bird brain, birds of a
  feather, early bird, bird of paradise, jail bird, thunder bird, dog days, dog tired, dog tag, dog bone, dog treat,
  dog biscuit, dog poop, dog kennel, dog pound, dog ear, dog wood, hot dog bun, hot dog cart, hot dog vendor, dog
  paddle, downward dog, downward facing dog, sun dog
- | hang dog, cat walk, cat nap, cat fish, cat tail, cat tails, cat litter, cat tree, cat tower, cat burglar, cat
  flap, cat condo, copy cat, cats and dogs, cat woman, horse shoe, horse power, horse play, horse radish, horse fly,
  horse stable, horse stall, horse tail, rocking horse, hobby horse, carousel horse, pommel horse, clothes horse,
  trojan horse, pony tail, gift horse, horse chestnut, cow bell, cow hide, cow lick, cow pat, cow print, cow milk,
  cash cow, sea cow, bull dozer, bull ring, bull horn, bull whip, bull frog, red bull, buffalo wing, buffalo sauce,
  buffalo chicken, counting sheep, bear market, bear claw, bear skin, bear trap, bear paw, bear spray, bear rug, bear
  arms, bear in mind, care bear
- | chicago bear, chicago bull, chicago cub, elephant in the room, elephant ear, elephant seal, elephant grass, white
  elephant sale, zebra fish, zebra stripe, zebra print, zebra skin, zebra pattern, giraffe print, giraffe pattern, cow
  pattern, hello kitty, kitty litter, kitty corner, puppy love, puppy eyes, puppy dog eyes, hush puppy, mouse trap,
  mouse hole, mickey mouse, minnie mouse, donald duck, daffy duck, winnie the pooh bear, bugs bunny, snoopy dog,
  scooby doo dog, teddy bear picnic, hen party, hen night, chicken wire, chicken coop, chicken pox, chicken feed,
  rubber chicken, chicken nugget, chicken tender, chicken finger, chicken strip, chicken leg, chicken thigh, chicken
  drumstick, chicken salad, chicken soup, chicken curry, chicken noodle soup, chicken broth, chicken stock, chicken
  pot pie, chicken parmesan, chicken skewer, chicken kebab, chicken dish, chicken dinner
- | chicken fried rice, chicken meat, chicken piece, chicken noodle, chicken stew, chicken tikka, chicken masala,
  chicken teriyaki, chicken alfredo, chicken patty, chicken fillet, chicken cutlet, chicken taco, chicken wrap,
  chicken egg, lamb chop, lamb stew, lamb curry, lamb shank, lamb kebab, lamb roast, lamb meat, lamb burger, leg of
  lamb, rack of lamb, lamb leg, lamb rib, lamb skewer, lamb cutlet, lamb dish, duck breast, duck leg, duck confit,
  duck egg, duck meat, duck soup, goose liver, goose down, pigeon pie, turkey breast, fish and chips, fish fry, fish
  stick, fish sauce, fish market, fish hook, ox tail, ox tail soup, calf muscle, apple cider, apple sauce, apple
  butter, apple crumble, apple tart, apple turnover, apple strudel, apple orchard, adam's apple, adams apple, pine
  apple
- | crab apple, big apple, apple watch, apple store, apple logo, banana bread, banana pudding, banana muffin, banana
  republic, banana milkshake, banana cream pie, banana smoothie, banana pancake, banana chip, orange soda, orange
  county, orange marmalade, orange sauce, orange chicken, orange sherbet, agent orange, carrot top, carrot soup,
  broccoli soup, broccoli casserole, pizza parlor, pizza parlour, pizza place, pizza restaurant, pizza cutter, pizza
  delivery, pizza delivery man, pizza sauce, pizza dough, pizza pan, pizza stone, burger king, burger joint, burger
  bun, sandwich board, sandwich wrap, donut hole, cake stand, cake pan, cake mix, cake walk, piece of cake walk, rice
  cake, crab cake, fish cake, urinal cake, cake topper, bottle cap, bottle opener, bottle rocket, cup holder, cup
  board, world cup, stanley cup, davis cup
- | cup final, ryder cup, suction cup, egg cup, cup of noodles, fork lift, fork in the road, tuning fork, pitch fork,
  bike fork, knife fight, jack knife, knife block, knife holder, spoon rest, greasy spoon, super bowl, bowl cut, dust
  bowl, rose bowl, sugar bowl game, bowl game, hollywood bowl, wine rack, wine cellar, wine list, wine barrel, wine
  bar, wine tasting, shot glass, shot glasses, water glass, magnifying glass, looking glass, hour glass, stained
  glass, beer glass, beer glasses, glass of water, glasses of water, pint glass, pint glasses, martini glass, martini
  glasses, chair lift, chair man, electric chair, couch potato, casting couch, bed sheet, bed spread, bed side, bed
  rock, bed bug, bed linen, bed time, bed pan, oyster bed, garden bed, raised bed
- | tanning bed, bed and breakfast, table spoon, turn table, time table, periodic table, water table, table manners,
  table of contents, toilet brush, toilet roll, toilet humor, toilet plunger, toilet cleaner, toilet bag, tv show, tv
  series, tv station, tv dinner, tv tray, tv stand, tv channel, tv tower, tv antenna, tv program, television show,
  television station, television series, television tower, television stand, television program, television antenna,
  reality tv, laptop case, laptop sleeve, laptop stand, laptop charger, computer science, computer virus, computer
  chip, monitor lizard, hall monitor, heart monitor, baby monitor, remote sensing, remote worker, remote work, phone
  number, phone charger, phone case, phone jack, phone line, phone tower, cell phone tower, cell phone store, cell
  phone case, cell phone charger, cell phone cover, mobile phone tower, mobile phone mast
- | phone mast, phone wire, telephone wire, telephone line, telephone number, telephone tower, telephone cable,
  microwave popcorn, microwave dinner, microwave tower, dutch oven, toaster strudel, oven rack, sink hole, heat sink,
  refrigerator magnet, fridge magnet, freezer burn, freezer bag, clock work, clock radio, around the clock, o'clock,
  against the clock, body clock, biological clock, scissor lift, scissor kick, book club, book fair, book mark, book
  worm, book end, book keeper, book case, by the book, face book, match book, check book, guest book, open book test,
  book report, hair tie, zip tie, cable tie, twist tie, railroad tie, rail road tie, tie dye, tie game, tie breaker,
  tie rack, ended in a tie, ends in a tie, tie for first, umbrella stand, umbrella term, cocktail umbrella, luggage
  rack, luggage claim
- | luggage tag, luggage carousel, luggage belt, baggage claim, ski patrol, ski lodge, surf school, frisbee golf, disc
  golf, bat mobile, fruit bat, vampire bat, bat cave, glove box, glove compartment, foxglove, ball game, ball room,
  ball pit, ball point, ball bearing, meat ball, snow ball, cotton ball, disco ball, wrecking ball, crystal ball, eye
  ball, cheese ball, rice ball, popcorn ball, masquerade ball, fire ball, hair ball, ball of yarn, ball of string,
  ball of fire, ball of fur, ball of wool, ball of dough, dough ball, crystal balls, mirror ball, tennis bracelet,
  tennis club, tennis lesson, tennis tournament, tennis elbow, baseball stadium, baseball card, baseball dugout,
  baseball mound, baseball season, baseball stands, baseball league, baseball practice, baseball base, basketball
  arena, basketball goal, basketball tournament
- | football stadium, football helmet, football season, football goal, soccer goal, volleyball tournament, softball
  game, hockey game, bench press, bench mark, work bench, test bench, traffic jam, parking lot, parking garage,
  parking space, parking spot, parking structure, parking deck, meter maid, snow man, gingerbread man, stick man,
  stick figure, spider man, super man, iron man, man kind, man power, man made, man cave, hang man, baby powder, baby
  carrot, baby food, baby oil, baby shower, baby grand, baby grand piano, baby's breath, baby corn, baby back ribs,
  baby formula, baby crib, baby pink, baby bump, baby steps, child proof, child's play, child birth, people mover, boy
  band, girl power, men's room, mens room, women's room, women's restroom, men's restroom, ladies room, ladies' room
- | mother's day, father's day, mother ship, mother board, mother nature, mother of pearl, mother tongue, father time,
  pilot light, clown fish, nurse shark, police station, police line, police box, police report, police academy,
  doctor's office, driver's license, pitcher of, batter mix, cake batter, pancake batter, coach bag, stage coach,
  coach station, sky blue, sky high, sea green, sea blue, sea food, sea shell, sea weed, sea kelp, sea side, sea salt,
  sea urchin, sea star, sea turtle, sea glass, ocean blue, ocean view, forest fire, grass green, grass roots, leaf
  green, brick red, fire engine red, cherry red, apple green, apple red, banana yellow, carrot orange, rose gold, rose
  pink, rose petal, rose wood, stone gray, stone grey, ice blue, snow globe
- | snow flake, snow storm, snow angel, mouse gray, mouse grey, navy blue, sand paper, sand blast, water color, water
  colour, water mark, water heater, water polo, water meter, water cooler, water lily, water board, ice cube, ice
  berg, ice pack, ice hockey, ice chest, dry ice, family tree, street fair, wall street, wall paper, floor plan,
  window shopping, door bell, door mat, door man, house wife, house fly, house music, house keys, house hold, light
  weight, light hearted, light switch, light year, facing the camera, facing camera, faces the camera, face the
  camera, into camera, at camera, back to camera, for camera, doorway view, take a picture, takes a picture, taking a
  picture, took a picture, take picture, takes picture, taking picture, taking pictures, take pictures, takes pictures
- | took pictures, have a picture, camera's view, at the camera, into the camera, to the camera, for the camera,
  toward the camera, towards the camera, from the camera, for a picture, for the picture, for a photograph, for
  pictures, pizza hut, of the camera, sheep wool, lion cub, tiger cub, wolf cub, fox cub, leopard cub, cheetah cub,
  hyena cub, panther cub, cougar cub, jaguar cub, raccoon cub, whale calf, dolphin calf, moose calf, hippo calf, seal
  pup, wolf pup, sea lion pup, shark pup, kid around, kids around, horse around, horses around, monkey around, clown
  around, monkey wrench, monkey bars, knife edge, couch surfing, plant manager, plant worker, plant operator, plant
  seller, train of thought, tie between, tie for, bow and, elephant in a room, lion fish, cat calls, head phone, ear
  phone, head phones
- | cattle grid, cattle guard, goat's cheese, cat's cradle, dog's life, crow's feet, crow's foot, goat cheese, sheep's
  milk, sheep's cheese, horse's mouth, lion's share, bear's den, bird's song, cow's hide, swan's neck, computer mouse
  pad, cloud of dust, clouds of dust, cloud of smoke, clouds of smoke, cloud of snow, cloud of sand, watching the
  camera, watches the camera, watch the camera, empty glasses, water hose, snow plow, snow plough, wall socket,
  drinking glass, pelican crossing, toucan crossing, puffin crossing, pegasus crossing, panda crossing, monkey puzzle,
  monkey puzzle tree, hot plate, bat signal, wolf spider, dog rose, tiger shark
"""
